// Reads a JSON text into a tree that keeps each number as it is written: a number of 64 bits, or of
// a thousand digits, must not change because a person looked at it. Pure.
//
// A node is {kind: "object", members: [[name, node], ...]}, {kind: "array", items: [node, ...]},
// {kind: "string", text}, {kind: "number", text}, or {kind: "word", text} (true, false, null).

export const MAX_DEPTH = 64;  // as the server's limit
const STRING = String.raw`"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"`;
const NUMBER = String.raw`-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?`;
const TOKEN = new RegExp(
  `[ \\t\\n\\r]*(?:([{}[\\],:])|(${STRING})|(${NUMBER})|(true|false|null))`, "y");

class Reader {
  constructor(text) {
    this.text = text;
    TOKEN.lastIndex = 0;
    this.advance();
  }

  advance() {
    const begin = TOKEN.lastIndex;
    const match = TOKEN.exec(this.text);
    if (match === null) {
      this.kind = /^[ \t\n\r]*$/.test(this.text.slice(begin)) ? "end" : "error";
      return;
    }
    const [, mark, string, number, word] = match;
    this.kind = mark ?? (string !== undefined ? "string"
      : number !== undefined ? "number" : "word");
    this.token = mark ?? string ?? number ?? word;
  }

  take(kind) {
    if (this.kind !== kind) throw new SyntaxError("not JSON");
    const token = this.token;
    this.advance();
    return token;
  }

  value(depth) {
    if (depth > MAX_DEPTH) throw new SyntaxError("too deep");
    switch (this.kind) {
      case "{": return this.object(depth);
      case "[": return this.array(depth);
      case "string": return {kind: "string", text: JSON.parse(this.take("string"))};
      default: return this.kind === "number" ? {kind: "number", text: this.take("number")}
        : {kind: "word", text: this.take("word")};
    }
  }

  object(depth) {
    const members = [];
    this.take("{");
    while (this.kind !== "}") {
      if (members.length !== 0) this.take(",");
      const name = JSON.parse(this.take("string"));
      this.take(":");
      members.push([name, this.value(depth + 1)]);
    }
    this.take("}");
    return {kind: "object", members};
  }

  array(depth) {
    const items = [];
    this.take("[");
    while (this.kind !== "]") {
      if (items.length !== 0) this.take(",");
      items.push(this.value(depth + 1));
    }
    this.take("]");
    return {kind: "array", items};
  }
}

// Nothing if the text is not JSON.
export function parse_json(text) {
  try {
    const reader = new Reader(text);
    const node = reader.value(1);
    return reader.kind === "end" ? node : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

// The tree as text with two spaces of indentation.
export function pretty(node, indent = "") {
  const inner = indent + "  ";
  if (node.kind === "object") {
    if (node.members.length === 0) return "{}";
    const lines = node.members.map(([name, value]) =>
      `${inner}${JSON.stringify(name)}: ${pretty(value, inner)}`);
    return `{\n${lines.join(",\n")}\n${indent}}`;
  }
  if (node.kind === "array") {
    if (node.items.length === 0) return "[]";
    return `[\n${node.items.map((item) => inner + pretty(item, inner)).join(",\n")}\n${indent}]`;
  }
  return node.kind === "string" ? JSON.stringify(node.text) : node.text;
}
