// What boxes and rows are called.

import { FOLDED, type Recording, THREAD } from "./recording.ts";

export class Labels {
  private readonly texts = new Map<number, string>();

  constructor(private readonly recording: Recording) {}

  /** Whether a key is a folded module. */
  isModule(key: number): boolean {
    return key >= this.recording.frameCount;
  }

  moduleOf(key: number): number {
    const { recording } = this;
    return this.isModule(key) ? key - recording.frameCount : recording.moduleOf(key);
  }

  /** What a box shows. */
  box(key: number): string {
    if (key < 0) return "all memory";
    let text = this.texts.get(key);
    if (text === undefined) {
      text = this.make(key);
      this.texts.set(key, text);
    }
    return text;
  }

  private make(key: number): string {
    const { recording } = this;
    if (this.isModule(key)) return `▸ ${recording.moduleName(key - recording.frameCount)}`;
    const name = recording.functionName(key);
    const kind = recording.kindOf(key);
    if (kind === THREAD) return `thread ${name}`;
    if (kind === FOLDED) return name;
    const place = recording.place(key);
    if (place === "") return name;
    return `${name}  ${place}`;
  }

  /** The function of a key. */
  name(key: number): string {
    const { recording } = this;
    if (key < 0) return "all memory";
    if (this.isModule(key)) return `${recording.moduleName(key - recording.frameCount)} (folded)`;
    return recording.kindOf(key) === THREAD ? `thread ${recording.functionName(key)}` : recording.functionName(key);
  }

  place(key: number): string {
    return key < 0 || this.isModule(key) ? "" : this.recording.place(key);
  }

  lineOf(key: number): number {
    return key < 0 || this.isModule(key) ? 0 : this.recording.lineOf(key);
  }

  /** The whole path of a frame's file, from the root of the file system if that is known. */
  absolute(key: number): string | null {
    const { recording } = this;
    if (key < 0 || this.isModule(key)) return null;
    const path = recording.pathOf(recording.fileOf(key));
    if (path === "" || path.startsWith("<")) return null;
    if (path.startsWith("/")) return path;
    const { directory } = recording.about.new;
    return directory.startsWith("/") ? `${directory.replace(/\/$/, "")}/${path}` : null;
  }
}
