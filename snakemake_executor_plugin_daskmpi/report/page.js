"use strict";
(() => {
  const told = JSON.parse(document.getElementById("documents").textContent);

  const page = document.documentElement;
  /** Of text in plots, on a screen and on paper. */
  const TEXT_PX = 12, PAPER_TEXT_PX = 10;

  /** Return the colours of the page's text, of its lines, and of what failed, light or dark. */
  function colours() {
    const style = getComputedStyle(page);
    return ["--ink", "--line", "--failed"].map((name) => style.getPropertyValue(name).trim());
  }

  /** Give the plots these colours, and the size of text. */
  function paint([ink, line, failed], size = `${TEXT_PX}px`) {
    for (const plot of Bokeh.documents.flatMap((each) => each.roots())) {
      for (const part of [...plot.left, ...plot.below, ...plot.center]) {
        if (part.type.endsWith("Axis")) {
          part.setv({
            axis_label_text_color: ink, major_label_text_color: ink,
            axis_label_text_font_size: size, major_label_text_font_size: size,
            axis_line_color: line, major_tick_line_color: line, minor_tick_line_color: line,
          });
        } else if (part.type === "Grid" && part.grid_line_color !== null) {
          part.setv({ grid_line_color: line });
        }
      }
      for (const drawn of plot.renderers) {
        if (drawn.name === "away") drawn.glyph.setv({ hatch_color: line });
        if (drawn.name === "chain") drawn.glyph.setv({ line_color: ink });
        if (drawn.name === "failed") drawn.glyph.setv({ line_color: failed });
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

  /** Lay the plots out anew, and draw them at once. */
  function redraw(views) {
    for (const view of views) {
      view.invalidate_layout();
      view.repaint?.();
    }
  }

  /** Draw the plots for paper: a browser takes them as they are when this returns. */
  function prepareForPaper(views) {
    // They keep the width of the screen, and would be cut off; 700 pixels are less than A4 and letter have.
    const shrink = Math.min(1, 700 / Math.max(...views.map((view) => view.el.offsetWidth)));
    page.style.setProperty("--shrink", shrink);
    paint(["#000000", "#bbbbbb", "#d00000"], `${Math.round(PAPER_TEXT_PX / shrink)}px`);
    redraw(views);
  }

  /** Draw the plots for the screen again. */
  function prepareForScreen(views) {
    paint(colours());
    redraw(views);
  }

  Bokeh.set_log_level("warn");
  Bokeh.embed.embed_items(told.documents, told.items).then((managers) => {
    // Of plots; there are those of Bokeh's own messages, too.
    const views = managers.flatMap((manager) => [...manager.roots]).filter((view) => view.invalidate_layout);
    paint(colours());
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => paint(colours()));
    window.addEventListener("beforeprint", () => prepareForPaper(views));
    window.addEventListener("afterprint", () => prepareForScreen(views));
    for (const button of document.querySelectorAll("button[data-run]")) {
      button.addEventListener("click", () => move(button));
    }
    page.dataset.drawn = "yes";
  });
})();
