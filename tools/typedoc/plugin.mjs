/**
 * What the site does beyond TypeDoc: pages are named by their headings and grouped as in docs/README.md, and links to source
 * files, from pages and from "Defined in", lead to the source with its lines numbered.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Converter, PageEvent, RendererEvent } from "typedoc";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** @param {import("typedoc").Application} app */
export function load(app) {
  const groups = groupsOf(readFileSync(join(ROOT, "docs/README.md"), "utf8"));
  const order = [...groups.keys()];
  /** Source files that some page links to, from the root. */
  const linked = new Set();

  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, document) => {
    document.name = basename(document.name);
    document.frontmatter.group = groups.get(document.name);
  });

  // Methods of tensors are derived from the ops by types alone: they get the ops' words and places.
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    const ops = new Map(project.getChildByName("ops")?.children?.map((op) => [op.name, op]));
    for (const method of project.getChildByName(["nina-ts", "Tensor"])?.children ?? []) {
      const op = method.signatures ? undefined : ops.get(method.name);
      if (!op?.signatures) continue;
      method.comment = op.signatures[0].comment?.clone();
      method.sources = op.sources;
    }
  });

  // Addresses are made by now, of the files' names.
  app.renderer.on(RendererEvent.BEGIN, ({ project }) => {
    for (const group of project.groups ?? [])
      if (group.title !== "Modules")
        group.children.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    for (const document of project.documents ?? []) {
      const text = document.content.map((part) => part.text).join("");
      document.name = /^# (.*)$/m.exec(text)?.[1] ?? document.name;
    }
  });

  app.renderer.on(PageEvent.END, (page) => {
    const up = "../".repeat(page.url.split("/").length - 1);
    const link = (path, line = "") => {
      linked.add(path);
      return `href="${up}source/${path}.html${line}"`;
    };
    const media = page.project.files.getNameToAbsoluteMap();
    page.contents = page.contents
      ?.replace(/href="site:([^"]+)"/g, `href="${up}../$1"`) // pages beside the documentation
      .replace(/href="source:tools\/[^"]*"/g, "") // what a class has from the language
      .replace(/href="source:([^"#]+)(#L\d+)"/g, (_, path, line) => link(path, line))
      .replace(/href="(?:\.\.\/)*media\/([^"#]+\.(?:ts|js|mjs|json))"/g, (_, name) =>
        link(relative(ROOT, media.get(name))),
      );
  });

  app.renderer.on(RendererEvent.END, ({ outputDirectory, project }) => {
    for (const name of project.files.getNameToAbsoluteMap().keys())
      if (/\.(ts|js|mjs|json)$/.test(name)) rmSync(join(outputDirectory, "media", name), { force: true });
    for (const path of linked) {
      const file = join(outputDirectory, "source", `${path}.html`);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, sourcePage(path));
    }
  });
}

/** The group of each page by its file's name: the heading in docs/README.md that it stands under. */
function groupsOf(contents) {
  const groups = new Map();
  let group = "";
  for (const line of contents.split("\n")) {
    group = /^## (.*)$/.exec(line)?.[1] ?? group;
    for (const [, name] of line.matchAll(/^- .*?\(.*?([\w-]+)\.md\)/g)) groups.set(name, group);
  }
  return groups;
}

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** A source file with numbered lines, its comments set off. */
function sourcePage(path) {
  const lines = readFileSync(resolve(ROOT, path), "utf8").trimEnd().split("\n");
  const up = "../".repeat(path.split("/").length);
  const rows = lines.map((line, i) => {
    const isComment = /^\s*(\/\*\*|\*|\/\/)/.test(line);
    return `<li id="L${i + 1}"${isComment ? ' class="comment"' : ""}>${escaped(line)}</li>`;
  });
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${path}</title><link rel="stylesheet" href="${up}assets/custom.css"></head>
<body class="source"><p><a href="${up}index.html">nina-ts</a> / <b>${path}</b></p><ol>${rows.join("\n")}</ol></body></html>
`;
}
