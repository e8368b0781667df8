/* Two entries on the prompts they share, as `safebench compare` computes and prints it.
   State lives in the address: #a=one&b=another. Data of an entry is the script c/ID.js.
   The formulas are those of spec/v1/intervals.md; a test holds every printed digit against Python. */
(function (root) {
  "use strict";

  /* Numbers are kept to 12 decimals, then rounded with halves away from zero: all in whole numbers. */
  function proportion(value, digits) {
    digits = digits === undefined ? 2 : digits;
    var whole = Math.round(Number(Math.abs(value).toFixed(12)) * 1e12), step = Math.pow(10, 12 - digits);
    var shown = Math.floor((whole + step / 2) / step), one = Math.pow(10, digits);
    var rest = String(shown % one).padStart(digits, "0"), head = Math.floor(shown / one);
    return (value < 0 && shown ? "-" : "") + (head || "") + "." + rest;
  }
  function signed(value) { return (Number(value.toFixed(12)) < 0 ? "-" : "+") + proportion(Math.abs(value)); }

  function sum(list, of) { return list.reduce(function (n, x, i) { return n + (of ? of(x, i) : x); }, 0); }
  function mean(list) { return sum(list) / list.length; }
  function square(x) { return x * x; }

  /* Stirling's series is exact to 1e-16 above 40; what is smaller is raised by G(x) = G(x + 1) / x. */
  function logGamma(x) {
    var lowered = 0;
    for (; x < 40; x += 1) lowered += Math.log(x);
    return (x - 0.5) * Math.log(x) - x + 0.9189385332046727 + 1 / (12 * x) - 1 / (360 * x * x * x)
      + 1 / (1260 * Math.pow(x, 5)) - lowered;
  }

  /* Regularised incomplete beta function by Lentz's continued fraction. */
  function beta(x, a, b) {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    if (x > (a + 1) / (a + b + 2)) return 1 - beta(1 - x, b, a);
    var tiny = 1e-300, front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
    var f = 1, c = 1, d = 0;
    for (var i = 0; i < 20000; i += 1) {
      var m = Math.floor(i / 2), term = i === 0 ? 1 : i % 2 === 0
        ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
      d = 1 + term * d; d = 1 / (Math.abs(d) < tiny ? tiny : d);
      c = 1 + term / c; c = Math.abs(c) < tiny ? tiny : c;
      f *= c * d;
      if (Math.abs(1 - c * d) < 1e-15) break;
    }
    return front * (f - 1);
  }

  /* Quantile of Student's t above which `tail` lies, by bisection. */
  function quantile(tail, df) {
    function above(t) { return beta(df / (df + t * t), df / 2, 0.5) / 2; }
    var low = 0, high = 1;
    while (above(high) > tail) high *= 2;
    for (var i = 0; i < 100; i += 1) {
      var middle = (low + high) / 2;
      if (above(middle) > tail) low = middle; else high = middle;
    }
    return (low + high) / 2;
  }

  /* Variances of the mean of a table of runs x prompts: of prompts, of runs, and their interaction. */
  function twoWay(rows) {
    var S = rows.length, P = rows[0].length;
    var prompts = rows[0].map(function (_, p) { return sum(rows, function (row) { return row[p]; }) / S; });
    var runs = rows.map(mean), grand = mean(runs), seed = 0, cell = 0;
    if (S > 1) {
      seed = sum(runs, function (x) { return square(x - grand); }) / (S - 1) / S;
      cell = P > 1 ? S / (S - 1) * P / (P - 1) / square(S * P) * sum(rows, function (row, s) {
        return sum(row, function (x, p) { return square(x - prompts[p] - (runs[s] - grand)); });
      }) : 0;
    }
    function kept(part) { return part > 1e-24 ? part : 0; }
    return { mean: grand, prompts: prompts, seed: kept(seed), cell: kept(cell), df: S - 1 };
  }

  /* B minus A, prompts and runs both samples: `paired_difference` of the program. */
  function paired(a, b) {
    var arms = [twoWay(a), twoWay(b)], G = a[0].length, estimate = arms[1].mean - arms[0].mean, tail = 0.025;
    var off = arms[1].prompts.map(function (x, p) { return x - arms[0].prompts[p] - estimate; });
    var second = sum(off, square), fourth = sum(off, function (x) { return square(square(x)); });
    var rarity = second < 1e-16 ? 1 : Math.max(0, 1 - second * second / fourth / 10);
    var prompt = (G > 1 ? G / (G - 1) * second / square(G) : 0) + 2 / square(G) * rarity;
    var parts = [[prompt, G - 1]], added = [];
    arms.forEach(function (arm) {
      added.push([Math.max(arm.seed - arm.cell, 0), arm.df]);
      if (arm.seed > arm.cell * (1 + 1e-9)) parts.push([arm.seed, arm.df], [arm.cell, arm.df * (G - 1)]);
    });
    var total = prompt + sum(added, function (one) { return one[0]; }), half = 2;
    if (G > 1) {
      var below = sum(parts, function (one) { return one[1] > 0 ? square(one[0]) / one[1] : 0; });
      var df = total * total / below, shares = added.filter(function (one) { return one[0] > 0; });
      var own = Math.max(1 - sum(shares, function (one) { return one[0] / total; }), 0) * square(quantile(tail, G - 1));
      own += sum(shares, function (one) { return one[0] / total * square(quantile(tail, one[1])); });
      half = Math.max(quantile(tail, df), Math.sqrt(own)) * Math.sqrt(total);
    }
    return { estimate: estimate, lower: Math.max(estimate - half, -1), upper: Math.min(estimate + half, 1),
      a: arms[0].mean, b: arms[1].mean, prompts: [arms[0].prompts, arms[1].prompts] };
  }

  function marginPoints(score) {
    var centre = 2 * Math.asin(Math.sqrt(score));
    function back(x) { return square(Math.sin(Math.min(Math.max(x, 0), Math.PI) / 2)); }
    return Math.max(back(centre + 0.1) - score, score - back(centre - 0.1));
  }

  function reading(lower, upper, margin) {
    var apart = lower > 0 || upper < 0;
    if (-margin < lower && upper < margin) return apart ? "differs, by less than the margin" : "equivalent within the margin";
    if (lower > margin || upper < -margin) return "differs by more than the margin";
    return apart ? "differs" : "undecided";
  }

  /* Rows of numbers: digits in base 36 are sums over repeats. */
  function table(block, at) {
    return block.rows.map(function (row) {
      return at.map(function (p) {
        return typeof row === "string" ? parseInt(row[p], 36) / block.per : row[p] / block.per;
      });
    });
  }

  /* What is compared of two entries: a list with a member per task and construct. */
  function compare(a, b) {
    var found = [];
    a.blocks.forEach(function (one) {
      var other = b.blocks.find(function (x) { return x.task === one.task && x.construct === one.construct; });
      if (!other) return;
      var place = new Map(other.prompts.map(function (id, i) { return [id, i]; }));
      var shared = one.prompts.filter(function (id) { return place.has(id); }).sort();
      if (!shared.length) return;
      var own = new Map(one.prompts.map(function (id, i) { return [id, i]; }));
      var rows = [table(one, shared.map(function (id) { return own.get(id); })),
        table(other, shared.map(function (id) { return place.get(id); }))];
      var d = paired(rows[0], rows[1]), margin = marginPoints((d.a + d.b) / 2);
      var moved = d.prompts[1].map(function (x, p) { return Number((x - d.prompts[0][p]).toFixed(12)); });
      found.push({ task: one.task, construct: one.construct, a: one, b: other,
        difference: signed(d.estimate) + " [" + signed(d.lower) + ", " + signed(d.upper) + "]",
        reading: reading(d.lower, d.upper, margin), margin: proportion(margin, 3),
        shared: shared.length, onA: proportion(d.a), onB: proportion(d.b),
        up: moved.filter(function (x) { return x > 0; }).length, down: moved.filter(function (x) { return x < 0; }).length });
    });
    return found;
  }

  if (typeof document === "undefined") { root.exports = { compare: compare, quantile: quantile }; return; }

  var entries = new Map(), out = document.getElementById("compared"), form = document.querySelector("form");
  window.safebenchEntry = function (entry) { entries.set(entry.id, entry); };

  var known = [], MOST = 50;
  window.safebenchNames = function (names) { known = names; suggest(""); };

  /* Of many entries a page holds few: those whose id or title has every word that was typed. */
  function suggest(typed) {
    var list = document.getElementById("ids"), words = typed.toLowerCase().split(/\s+/), left = MOST;
    list.textContent = "";
    known.some(function (name) {
      var text = (name[0] + " " + name[1]).toLowerCase();
      if (!words.every(function (word) { return text.indexOf(word) >= 0; })) return false;
      var option = list.appendChild(document.createElement("option"));
      option.value = name[0];
      option.label = name[1];
      left -= 1;
      return left === 0;
    });
  }
  form.addEventListener("input", function (event) { suggest(event.target.value); });
  /* The list of names is asked for by whoever begins to type one. */
  form.addEventListener("focusin", function () {
    var script = document.createElement("script");
    script.src = "names.js";
    document.head.appendChild(script);
  }, { once: true });

  function element(parent, name, text, css) {
    var made = parent.appendChild(document.createElement(name));
    if (text !== undefined) made.textContent = text;
    if (css) made.className = css;
    return made;
  }

  function load(id, then) {
    if (entries.has(id)) return then();
    var script = document.createElement("script");
    script.src = "c/" + encodeURIComponent(id) + ".js";
    script.onload = then;
    script.onerror = then;
    document.head.appendChild(script);
  }

  function differing(a, b) {
    var theirs = new Map(b.fields), mine = new Map(a.fields), lines = [];
    a.fields.forEach(function (field) {
      var other = theirs.has(field[0]) ? theirs.get(field[0]) : "not given";
      if (other !== field[1]) lines.push([field[0], field[1], other]);
    });
    b.fields.forEach(function (field) { if (!mine.has(field[0])) lines.push([field[0], "not given", field[1]]); });
    return lines;
  }

  function grid(heads, rows, caption) {
    var box = element(out, "div", undefined, "scroll"), made = element(box, "table", undefined, "data");
    element(made, "caption", caption);
    var head = element(element(made, "thead"), "tr");
    heads.forEach(function (text) { element(head, "th", text).scope = "col"; });
    var body = element(made, "tbody");
    rows.forEach(function (cells) {
      var row = element(body, "tr");
      cells.forEach(function (text, i) {
        var cell = element(row, i ? "td" : "th");
        if (!i) { cell.scope = "row"; cell.className = "narrow"; }
        element(cell, "bdi", text);
      });
    });
  }

  function cautions(a, b, found) {
    var texts = [];
    [["A", a, 0], ["B", b, 1]].forEach(function (side) {
      side[1].cautions.forEach(function (text) { texts.push(side[0] + " " + text); });
    });
    found.forEach(function (one) {
      if (one.a.judge !== one.b.judge) texts.push(one.task + ": different judges, A by " + one.a.judge + ", B by " + one.b.judge + "; a stricter judge alone makes a difference.");
      if (one.a.dataset !== one.b.dataset) texts.push(one.task + ": the cards name different versions of the prompts; prompts of one id are paired whatever their text.");
    });
    if (a.outcomes === b.outcomes) texts.push("A and B hold the same outcomes, so their agreement is no evidence.");
    return texts;
  }

  function show(a, b) {
    out.textContent = "";
    var first = entries.get(a), second = entries.get(b);
    if (!first || !second) {
      element(out, "p", "No entry of this board has the id " + (first ? b : a) + ", or it has no evidence to compare.", "none");
      return;
    }
    var found = compare(first, second), line = element(out, "p");
    [["A", first], ["B", second]].forEach(function (side, i) {
      element(line, "span", (i ? "; " : "") + side[0] + ": ");
      var link = element(element(line, "bdi"), "a", side[1].title);
      link.href = "submissions/" + encodeURIComponent(side[1].id) + ".html";
    });
    cautions(first, second, found).forEach(function (text) { element(out, "p", text, "caution"); });
    if (!found.length) element(out, "p", "Nothing can be compared: they measured no task on prompts in common.", "none");
    found.forEach(function (one) {
      element(out, "h2", one.construct[0].toUpperCase() + one.construct.slice(1).replace("_", "-") + ", " + one.task);
      grid(["Side", "Score [95 %]", "Measured"], [
        ["A", one.a.score, one.a.measured], ["B", one.b.score, one.b.measured],
        ["B - A", one.difference, one.reading + " (margin " + one.margin + ")"]
      ], one.a.better + ". " + one.shared + " shared prompts, on which A has " + one.onA + " and B " + one.onB + "; " + one.up + " go" + (one.up === 1 ? "es" : "") + " up, " + one.down + " down.");
    });
    var fields = differing(first, second);
    element(out, "h2", "What the protocols do differently");
    if (fields.length) grid(["Field", "A", "B"], fields, "More than one difference and none of them is known to be the cause.");
    else element(out, "p", "No field of the two protocols differs.");
    element(out, "h2", "The same on the command line");
    element(out, "p", "In a copy of the board's submissions this prints the same numbers, with prompts, categories and judges, and says which of the differing fields can change a score:");
    element(element(out, "pre"), "code", "safebench compare submissions/" + first.id + " submissions/" + second.id);
  }

  function read() {
    var parts = new URLSearchParams(location.hash.slice(1));
    var a = (parts.get("a") || "").slice(0, 64), b = (parts.get("b") || "").slice(0, 64);
    form.elements.a.value = a;
    form.elements.b.value = b;
    out.textContent = "";
    if (/^[a-z0-9][a-z0-9_.-]*$/.test(a) && /^[a-z0-9][a-z0-9_.-]*$/.test(b)) load(a, function () { load(b, function () { show(a, b); }); });
    else if (a && b) element(out, "p", "An id has a-z, 0-9, _ . - and nothing else.", "none");
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    location.hash = new URLSearchParams({ a: form.elements.a.value, b: form.elements.b.value }).toString();
  });
  window.addEventListener("hashchange", read);
  form.hidden = false;
  read();
})(typeof module === "undefined" ? this : module);
