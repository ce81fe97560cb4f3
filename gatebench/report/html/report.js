
"use strict";
// Without a server: plotly and the figures lie in this page, packed; choices show one part of a section and hide the others.
(async () => {
  const wanted = {}; // choice -> value chosen last, in whatever section

  async function unpack(id) {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  function keysOf(part) {
    return JSON.parse(part.dataset.keys || "{}");
  }

  // --- choices

  // The values that a choice offers, given the choices before it.
  function values(parts, choice, chosen, earlier) {
    const fits = (keys) => choice in keys && earlier.every((name) => !(name in keys) || keys[name] === chosen[name]);
    return [...new Set(parts.map(keysOf).filter(fits).map((keys) => keys[choice]))];
  }

  function choose(section) {
    const parts = [...section.querySelectorAll(":scope > .part")];
    const box = section.querySelector(".choices");
    const names = JSON.parse(section.dataset.choices);
    const chosen = {};
    box.replaceChildren();
    names.forEach((name, place) => {
      const options = values(parts, name, chosen, names.slice(0, place));
      chosen[name] = options.includes(wanted[name]) ? wanted[name] : options[0];
      if (options.length > 1) box.append(select(name, options, chosen[name]));
    });
    for (const part of parts) {
      part.hidden = Object.entries(keysOf(part)).some(([name, value]) => chosen[name] !== value);
    }
  }

  function select(name, options, value) {
    const label = document.createElement("label");
    const field = document.createElement("select");
    label.textContent = name;
    for (const option of options) field.add(new Option(option, option, false, option === value));
    field.addEventListener("change", () => {
      wanted[name] = field.value;
      const section = field.closest("section");
      document.querySelectorAll("section").forEach(choose);
      const again = [...section.querySelectorAll(".choices label")].find((other) => other.firstChild.textContent === name);
      if (again) again.querySelector("select").focus();
      draw();
    });
    label.append(field);
    return label;
  }

  // --- figures

  function template() {
    const style = getComputedStyle(document.documentElement);
    const [text, ground, line] = ["--text", "--ground", "--line"].map((name) => style.getPropertyValue(name).trim());
    const family = getComputedStyle(document.body).fontFamily;
    const axis = { color: text, automargin: true };
    return {
      layout: {
        font: { color: text, family, size: 13 }, xaxis: axis, yaxis: axis,
        hoverlabel: { bgcolor: ground, bordercolor: line, font: { color: text, family } },
      },
    };
  }

  // Make room above the data where a narrow window breaks the legend into more lines than the figure counts with.
  async function seat(plot) {
    const legend = plot.querySelector(".legend .bg");
    const area = plot.querySelector(".cartesianlayer .plot");
    if (!legend || !area || !plot.layout.margin) return;
    const titles = (plot.layout.annotations || []).some((entry) => entry.yref === "paper" && entry.yanchor === "bottom") ? 24 : 4;
    const below = legend.getBoundingClientRect().bottom + titles - plot._fullLayout._size.t - plot.getBoundingClientRect().top;
    if (below <= 0) return;
    plot.style.height = `${plot.layout.height + below}px`;
    await Plotly.relayout(plot, { height: plot.layout.height + below, "margin.t": plot.layout.margin.t + below });
  }

  const loaded = new Map();
  function plotly() {
    if (!loaded.has("plotly")) {
      loaded.set("plotly", unpack("plotly").then((text) => {
        const script = document.createElement("script");
        script.textContent = text;
        document.head.append(script);
      }));
    }
    return loaded.get("plotly");
  }

  async function render(plot) {
    try {
      await plotly();
      const figure = JSON.parse(await unpack(plot.dataset.figure));
      const columns = Object.keys(figure.layout).filter((name) => /^xaxis\d*$/.test(name)).length;
      const rows = new Set(Object.entries(figure.layout).filter(([name]) => /^yaxis\d*$/.test(name)).map(([, axis]) => String(axis.domain)));
      plot.classList.toggle("wide", columns > rows.size);
      const layout = { ...figure.layout, template: template() };
      await Plotly.newPlot(plot, figure.data, layout, { displaylogo: false, displayModeBar: false, responsive: true });
      await seat(plot);
      plot.dataset.drawn = "yes";
    } catch (error) {
      plot.classList.add("failed");
      plot.style.height = "auto";
      plot.textContent = `This browser cannot draw the figure (${error.message}). Its numbers stand below.`;
      plot.dataset.drawn = "failed";
    }
  }

  let drawing = false;
  async function draw() {
    if (drawing) return; // the loop that is at it sees what has just been shown
    drawing = true;
    for (;;) {
      const next = [...document.querySelectorAll(".plot:not([data-drawn])")].find((plot) => !plot.closest("[hidden]"));
      if (!next) break;
      await render(next);
      await new Promise((done) => setTimeout(done)); // the page stays alive between two figures
    }
    drawing = false;
    document.documentElement.dataset.ready = "yes";
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.querySelectorAll('.plot[data-drawn="yes"]').forEach((plot) => Plotly.relayout(plot, { template: template() }));
  });
  document.querySelectorAll("section").forEach(choose);
  await draw();
})();
