// The colours of style.css: text on each surface has the contrast that WCAG 2.1 AA asks for, in
// both themes, and the dark theme is the same whether the system or the switch asks for it.
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {test} from "node:test";

const css = readFileSync(new URL("../../src/ui/style.css", import.meta.url), "utf8");

function block(selector) {
  const begin = css.indexOf(`${selector} {`);
  assert.ok(begin >= 0, selector);
  return Object.fromEntries([...css.slice(begin, css.indexOf("}", begin))
    .matchAll(/--([a-z0-9-]+):\s*(#[0-9a-f]{6});/g)].map(([, name, value]) => [name, value]));
}

function luminance(colour) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const THEMES = {light: block(":root"), dark: block(':root[data-theme="dark"]')};
const SURFACES = ["bg", "surface", "raised"];
const TERMS = [0, 1, 2, 3, 4, 5];
// [text, what it stands on]
const TEXTS = [
  ...["text", "muted", "accent", "good", "warn", "bad"].flatMap((text) =>
    SURFACES.map((surface) => [text, surface])),
  ["accent-text", "accent"], ["surface", "bad"], ["accent", "accent-soft"],
  ["muted", "accent-soft"], ["text", "accent-soft"], ["text", "warn-soft"],
  ["text", "bad-soft"], ["text", "added"], ["text", "removed"], ["muted", "added"],
  ["muted", "removed"], ["surface", "warn"],
  ...TERMS.map((term) => ["text", `term-soft-${term}`]), ["warn", "warn-soft"], ["bad", "bad-soft"],
];

for (const [theme, colours] of Object.entries(THEMES)) {
  test(`text can be read in the ${theme} theme`, () => {
    for (const [text, surface] of TEXTS) {
      const found = contrast(colours[text], colours[surface]);
      assert.ok(found >= 4.5, `--${text} on --${surface}: ${found.toFixed(2)}`);
    }
  });
  test(`fields and nodes can be seen in the ${theme} theme`, () => {
    for (const surface of SURFACES) {
      const found = contrast(colours.edge, colours[surface]);
      assert.ok(found >= 3, `--edge on --${surface}: ${found.toFixed(2)}`);
      for (const term of TERMS) {
        const of_term = contrast(colours[`term-${term}`], colours[surface]);
        assert.ok(of_term >= 3, `--term-${term} on --${surface}: ${of_term.toFixed(2)}`);
      }
    }
  });
}

test("the two ways to the dark theme lead to the same colours", () => {
  assert.deepEqual(block(':root:not([data-theme="light"])'), THEMES.dark);
});
