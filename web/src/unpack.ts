// Data as they stand in the page: base64 of compressed numbers, seven bits to a byte, lowest first.

/** A section of the page's data. */
export interface Section {
  count: number;
  bytes: Uint8Array;
}

type FromBase64 = (text: string) => Uint8Array<ArrayBuffer>;

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const native = (Uint8Array as unknown as { fromBase64?: FromBase64 }).fromBase64;
  if (native) return native.call(Uint8Array, text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

async function inflate(packed: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The section called `name`; nothing where the page has none. Its text is given up: it is read once. */
export async function section(name: string): Promise<Section | null> {
  const element = document.getElementById(`data-${name}`);
  if (!element) return null;
  const text = element.textContent;
  const count = Number(element.dataset.count);
  element.remove();
  return { count, bytes: await inflate(fromBase64(text)) };
}

/** Reads numbers one after the other. Those beyond 2^53 are rounded. */
export class Numbers {
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  next(): number {
    const { bytes } = this;
    let byte = bytes[this.at++];
    let number = byte & 0x7f;
    if (byte < 0x80) return number;
    let scale = 128;
    do {
      byte = bytes[this.at++];
      number += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    return number;
  }

  fill<T extends Float64Array | Int32Array>(into: T, from = 0): T {
    for (let at = from; at < into.length; at += 1) into[at] = this.next();
    return into;
  }
}

/** The numbers of a section whose entries are `width` numbers each. */
export function integers(of: Section | null, width = 1): Int32Array {
  return of ? new Numbers(of.bytes).fill(new Int32Array(of.count * width)) : new Int32Array(0);
}

export function floats(of: Section | null): Float64Array {
  return of ? new Numbers(of.bytes).fill(new Float64Array(of.count)) : new Float64Array(0);
}

/** Lines of text. */
export function lines(of: Section | null): string[] {
  if (!of || of.count === 0) return [];
  const text = new TextDecoder().decode(of.bytes).split("\n");
  text.length = of.count;
  return text;
}
