/** Remembers a list of numbers, and tells whether it is given the same list again. */
export class Snapshot {
  /** NaN equals nothing: the first list is never the same. */
  #numbers = new Float64Array(256).fill(Number.NaN);
  #count = 0;
  #same = false;

  /** Begins a list. */
  begin(): void {
    this.#count = 0;
    this.#same = true;
  }

  add(number: number): void {
    if (this.#count === this.#numbers.length) {
      const grown = new Float64Array(2 * this.#count).fill(Number.NaN);
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    if (this.#numbers[this.#count] !== number) {
      this.#numbers[this.#count] = number;
      this.#same = false;
    }
    this.#count++;
  }

  addAll(numbers: Float64Array): void {
    for (let i = 0; i < numbers.length; i++) this.add(numbers[i]);
  }

  /** Was the list that `begin` began the same as the one before it? Lists must be of one length. */
  get same(): boolean {
    return this.#same;
  }
}
