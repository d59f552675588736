"use strict";
(() => {
  const told = JSON.parse(document.getElementById("documents").textContent);

  const page = document.documentElement;

  /** Return the colours of the page's text and lines, light or dark. */
  function colours() {
    const style = getComputedStyle(page);
    return ["--ink", "--line"].map((name) => style.getPropertyValue(name).trim());
  }

  /** Give the plots the colours of text and lines. */
  function paint([ink, line]) {
    for (const plot of Bokeh.documents.flatMap((each) => each.roots())) {
      for (const part of [...plot.left, ...plot.below, ...plot.above, ...plot.center]) {
        if (part.type.endsWith("Axis")) {
          part.setv({
            axis_label_text_color: ink, major_label_text_color: ink,
            axis_line_color: line, major_tick_line_color: line, minor_tick_line_color: line,
          });
        } else if (part.type === "Legend") {
          part.setv({ label_text_color: ink });
        } else if (part.type === "Grid" && part.grid_line_color !== null) {
          part.setv({ grid_line_color: line });
        }
      }
      for (const drawn of plot.renderers) {
        if (drawn.name === "chain") drawn.glyph.setv({ line_color: ink });
      }
    }
  }

  /** Move what the plots of a run show, by shares of it; all of it without any. */
  function move(button) {
    const item = told.items.find((each) => each.docid === button.dataset.run);
    const found = Bokeh.documents.flatMap((each) => each.roots()).find((each) => item.root_ids.includes(each.id));
    const range = found.x_range;
    if (button.dataset.from === undefined) {
      range.reset();
      return;
    }
    const width = range.end - range.start;
    const [low, high] = range.bounds;
    const start = Math.max(low, range.start + width * Number(button.dataset.from));
    const end = Math.min(high, range.start + width * Number(button.dataset.to));
    if (end - start > 10) range.setv({ start, end });
  }

  /** Draw the plots for paper, at once: a browser takes them as they are when this returns. */
  function prepareForPaper(views) {
    paint(["#000000", "#bbbbbb"]);
    // They keep the width of the screen, and would be cut off; 690 pixels are less than A4 and letter have.
    const width = Math.max(...views.map((view) => view.el.offsetWidth));
    page.style.setProperty("--shrink", Math.min(1, 690 / width));
    for (const view of views) view.repaint?.();
  }

  Bokeh.set_log_level("warn");
  Bokeh.embed.embed_items(told.documents, told.items).then((managers) => {
    const views = managers.flatMap((manager) => [...manager.roots]);
    paint(colours());
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => paint(colours()));
    window.addEventListener("beforeprint", () => prepareForPaper(views));
    window.addEventListener("afterprint", () => paint(colours()));
    for (const button of document.querySelectorAll("button[data-run]")) {
      button.addEventListener("click", () => move(button));
    }
    page.dataset.drawn = "yes";
  });
})();
