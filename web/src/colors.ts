// Colours of boxes: by module, so that whose code holds memory is seen without reading; of a difference by its sign.

import { IMPORT_SYSTEM, INSTALLED, PROGRAM, type Recording, STANDARD_LIBRARY } from "./recording.ts";

/** Hues of the program's own modules are warm, those of packages are not. */
const OWN_HUES = [18, 42, 352, 66, 30, 8];
const PACKAGE_HUES = [205, 158, 268, 184, 232, 128, 292, 220];

export interface Theme {
  isDark: boolean;
  text: string;
  faint: string;
  line: string;
  ground: string;
  accent: string;
  hit: string;
}

export function themeOf(element: Element): Theme {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(name).trim();
  return {
    isDark: of("--is-dark") === "1",
    text: of("--box-text"),
    faint: of("--faint"),
    line: of("--line"),
    ground: of("--ground"),
    accent: of("--accent"),
    hit: of("--hit"),
  };
}

/** Hue and saturation of each module; the same for any figures, so that colours stay. */
export function moduleColors(recording: Recording, weights: Float64Array): [number, number][] {
  const order = Array.from({ length: recording.moduleCount }, (_, module) => module);
  order.sort((one, other) => weights[other] - weights[one]);
  const colors: [number, number][] = [];
  let own = 0;
  let installed = 0;
  for (const module of order) {
    const owner = recording.ownerOf(module);
    if (owner === PROGRAM) colors[module] = [OWN_HUES[own++ % OWN_HUES.length], 72];
    else if (owner === INSTALLED) colors[module] = [PACKAGE_HUES[installed++ % PACKAGE_HUES.length], 48];
    else if (owner === STANDARD_LIBRARY) colors[module] = [214, 20];
    else if (owner === IMPORT_SYSTEM) colors[module] = [240, 8];
    else colors[module] = [60, 6];
  }
  return colors;
}

/** A box's colour: boxes of one module differ a little, so that neighbours can be told apart. */
export function boxColor([hue, saturation]: [number, number], variant: number, isDark: boolean): string {
  const shade = (variant % 5) * 2;
  return isDark ? `hsl(${hue} ${saturation * 0.62}% ${27 + shade}%)` : `hsl(${hue} ${saturation + 8}% ${85 - shade}%)`;
}

/** The colour of a change: red grew, blue shrank; `strength` from −1 to 1. */
export function changeColor(strength: number, isDark: boolean): string {
  const much = Math.sqrt(Math.min(1, Math.abs(strength)));
  if (much < 0.02) return isDark ? "hsl(220 6% 26%)" : "hsl(220 10% 92%)";
  const hue = strength > 0 ? 6 : 214;
  return isDark
    ? `hsl(${hue} ${18 + 42 * much}% ${27 + 10 * much}%)`
    : `hsl(${hue} ${38 + 47 * much}% ${93 - 25 * much}%)`;
}
