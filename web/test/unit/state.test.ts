import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHash, INITIAL, type State, Store, toHash } from "../../src/state.ts";

const OTHER: State = {
  metric: "allocated",
  unit: "blocks",
  range: [3, 17],
  compare: true,
  zoom: "p3.4.5",
  inverted: true,
  search: "a|b & <c> #%",
  threads: "together",
  recursion: "folded",
  modules: { o2: "whole", 7: "hidden" },
  width: "old",
  colors: "relative",
  sort: "+place",
  filter: "größe",
  table: "graph",
  selected: 12,
};

test("an address brings a view back", () => {
  assert.deepEqual(fromHash(`#${toHash(OTHER)}`), OTHER);
  assert.equal(toHash(INITIAL), "");
  assert.deepEqual(fromHash(""), INITIAL);
});

test("of an address that somebody made up, what makes no sense is left out", () => {
  const hostile = [
    "#metric=<script>",
    "#range=[9,-1]",
    "#range=[1,2,3]",
    "#zoom=n1;alert(1)",
    '#modules={"__proto__":"folded","o2":"x"}',
    "#modules=[[[",
    "#selected=-5",
    "#sort=javascript:",
    "#constructor=1&__proto__=2",
  ];
  for (const hash of hostile) {
    const state = fromHash(hash);
    assert.deepEqual({ ...state, modules: {} }, { ...INITIAL, modules: {} }, hash);
    for (const value of Object.values(state.modules)) assert.ok(["whole", "folded", "hidden"].includes(value));
  }
});

test("changes can be undone and done again, and typing is one change", () => {
  const store = new Store(INITIAL);
  store.set({ metric: "peak" });
  store.set({ search: "a" }, "search");
  store.set({ search: "ab" }, "search");
  store.undo();
  assert.equal(store.state.search, "");
  assert.equal(store.state.metric, "peak");
  store.undo();
  assert.deepEqual(store.state, INITIAL);
  assert.equal(store.canUndo, false);
  store.redo();
  store.redo();
  assert.equal(store.state.search, "ab");
});

test("back leads to where the graph was before, whatever else was done since", () => {
  const store = new Store(INITIAL);
  store.set({ zoom: "n5" });
  store.set({ zoom: "n9" });
  store.set({ metric: "peak" });
  store.back();
  assert.equal(store.state.zoom, "n5");
  assert.equal(store.state.metric, "peak");
});
