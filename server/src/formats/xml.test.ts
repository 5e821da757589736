import { describe, expect, test } from "vitest";
import { Fault } from "./problems.ts";
import { type XmlHandler, XmlReader } from "./xml.ts";

/** Reads a document in pieces and writes down what the reader told. */
function read(bytes: Uint8Array | string, pieceBytes = 65_536): string[] {
  const told: string[] = [];
  let text = "";
  const flush = () => {
    if (text.trim() !== "") told.push(`"${text.trim().slice(0, 40)}"`);
    text = "";
  };
  const handler: XmlHandler = {
    open: ({ name, namespace, attribute }, line) => {
      flush();
      told.push(`<${namespace}:${name} ${attribute("a") ?? ""} ${line}`);
    },
    text: (more) => {
      text += more;
    },
    close: ({ name }) => {
      flush();
      told.push(`/${name}`);
    },
  };
  const reader = new XmlReader(handler);
  const source = Buffer.from(bytes as string);
  for (let at = 0; at < source.length; at += pieceBytes) reader.write(source.subarray(at, at + pieceBytes));
  reader.end();
  return told;
}

/** The fault that a document is refused with. */
function fault(bytes: Uint8Array | string, pieceBytes?: number): Fault {
  try {
    read(bytes, pieceBytes);
  } catch (reason) {
    if (reason instanceof Fault) return reason;
    throw reason;
  }
  throw new Error("the document was read");
}

const small = '<r xmlns="urn:x" xmlns:p="urn:y">\n<p:e a="1&lt;2">t&#228;xt<![CDATA[<&]]></p:e></r>';
const smallTold = ["<urn:x:r  1", "<urn:y:e 1<2 2", '"täxt<&"', "/e", "/r"];

describe("documents", () => {
  test.each([1, 2, 3, 7, 65_536])("in pieces of %i bytes", (pieceBytes) => {
    expect(read(small, pieceBytes)).toEqual(smallTold);
  });

  test("by their encoding", () => {
    const declared = `<?xml version="1.0" encoding="ISO-8859-1"?>${small.replace("&#228;", "ä")}`;
    const latin = Buffer.from(declared, "latin1");
    expect(read(latin)).toEqual(smallTold);
    expect(read(Buffer.from(`\ufeff${small}`))).toEqual(smallTold);
    expect(read(Buffer.from(`\ufeff${small}`, "utf16le"), 3)).toEqual(smallTold);
    expect(read(`<?xml version="1.0" encoding="UTF-16"?>${small}`)).toEqual(smallTold);
  });
});

describe("what is refused, with its line", () => {
  const doctype = "<?xml version='1.0'?>\n\n<!DOCTYPE lolz [<!ENTITY a 'b'>]>\n<r>&a;</r>";
  test.each([1, 5, 13, 65_536])("a document type, also torn into pieces of %i bytes", (pieceBytes) => {
    expect(fault(doctype, pieceBytes).message).toMatch(/document type/);
    expect(fault(doctype, pieceBytes).place.line).toBe(3);
    expect(fault(doctype.toLowerCase(), pieceBytes).message).toMatch(/document type/);
  });

  test("a billion laughs and an external entity never reach the parser", () => {
    const laughs = `<!DOCTYPE l [<!ENTITY a0 "ha">${Array.from({ length: 30 }, (_, i) => `<!ENTITY a${i + 1} "&a${i};&a${i};">`).join("")}]><l>&a30;</l>`;
    expect(fault(laughs).message).toMatch(/document type/);
    expect(fault('<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>').message).toMatch(/document type/);
    expect(fault("<r>&undeclared;</r>").message).toMatch(/damaged/);
  });

  test("depth, attributes and the size of one node", () => {
    expect(read("<a>".repeat(64) + "</a>".repeat(64))).toHaveLength(128);
    expect(fault("<a>".repeat(65) + "</a>".repeat(65)).message).toMatch(/64 levels/);
    const attributes = Array.from({ length: 300 }, (_, i) => `a${i}=""`).join(" ");
    expect(fault(`<r ${attributes}/>`).message).toMatch(/256 attributes/);
    expect(fault(`<r>${"x".repeat(1_200_000)}</r>`).message).toMatch(/longer/);
    expect(fault(`<r><!--${"x".repeat(1_200_000)}--></r>`).message).toMatch(/longer/);
    expect(fault(`<r a="${"x".repeat(1_200_000)}"/>`).message).toMatch(/longer/);
    expect(fault(`<r>${"&#65;".repeat(400_000)}</r>`).message).toMatch(/longer/);
  });

  test.each([
    ["<r>\n<a></b></r>", 2],
    ["<r>\n\n<a>", 3],
    ["<r/>\n<r/>", 2],
    ["<r>\n<p:a/></r>", 2],
    ["no markup", 1],
    ["", 1],
    ["<r a=1/>", 1],
  ])("%j at line %i", (document, line) => {
    expect(fault(document).place.line).toBe(line);
  });

  test("bytes that are no text, and encodings that nobody knows", () => {
    const broken = Buffer.concat([Buffer.from("<r>\n"), Buffer.from([0xc3, 0x28]), Buffer.from("</r>")]);
    expect(fault(broken).message).toMatch(/no utf-8 text/);
    expect(fault('<?xml version="1.0" encoding="klingon"?><r/>').message).toMatch(/klingon/);
  });
});
