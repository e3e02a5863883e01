// The threshold sliders: their scale is the logarithm of the false-alarm rate of the channel.

const BENIGN = {
  user: "benign user messages", document: "benign documents", tool: "benign tool results", response: "benign responses",
};

/** A false-alarm rate as people say it. */
export function rateInWords(rate, channel) {
  if (rate >= 1) return `all ${BENIGN[channel]} score this high`;
  if (rate > 0.2) return `${Math.round(100 * rate)} % of ${BENIGN[channel]} score this high`;
  return `1 in ${oneIn(rate)} ${BENIGN[channel]} scores this high`;
}

/** 0.01 as "1 %". */
export function percent(share) {
  const value = 100 * share;
  return `${value >= 10 ? Math.round(value) : Number(value.toPrecision(2))} %`;
}

function oneIn(rate) {
  return Math.round(1 / rate).toLocaleString("en");
}

/** Where a rate lies on the slider, 0 to 100, rare to common. */
export function placeOf(rate, table) {
  const [low, high] = ends(table);
  return (100 * (Math.log(rate) - low)) / (high - low);
}

/** The rate at a place of the slider. */
export function rateAt(place, table) {
  const [low, high] = ends(table);
  // The very ends must be the rates themselves: a hair below the least, and nothing would ever be blocked.
  return Math.min(Math.max(Math.exp(low + (place / 100) * (high - low)), table.least), 1);
}

function ends(table) {
  const curve = table.curve;
  return [Math.log(curve[0][1]), Math.log(curve[curve.length - 1][1])];
}

/** What a threshold means, in a sentence. */
export function meaning(rate, channel, about) {
  const table = about.channels[channel];
  const evidence = table.curve.reduce((best, point) => (near(point, rate) < near(best, rate) ? point : best))[0];
  const sign = evidence < 0 ? "−" : "+";
  return (
    `${percent(rate)} false alarms: 1 in ${oneIn(rate)} ${BENIGN[channel]}. ` +
    `Evidence from ${sign}${Math.abs(evidence).toFixed(1)} on. ${recall(rate, about.recall)}`
  );
}

function near(point, rate) {
  return Math.abs(Math.log(point[1] / rate));
}

/** Recall is stored at a few rates only, and only rises with the rate: between two of them it is between theirs. */
function recall(rate, known) {
  if (!known.length) return "Recall is not stored in this codebook.";
  const exact = known.find(([at]) => Math.abs(Math.log(rate / at)) < 0.02);
  if (exact) return `Recall ${percent(exact[1])}.`;
  const below = known.filter(([at]) => at < rate).pop();
  const above = known.find(([at]) => at > rate);
  if (below && above) return `Recall between ${percent(below[1])} and ${percent(above[1])}.`;
  return below ? `Recall at least ${percent(below[1])}.` : `Recall at most ${percent(above[1])}.`;
}

/** What recall is, and where it is known. */
export function recallInWords(about) {
  if (!about.recall.length) {
    return "The codebook stores no recall, so only false-alarm rates are shown.";
  }
  const figures = about.recall.map(([at, value]) => `${percent(value)} at ${percent(at)} false alarms`).join(", ");
  return `Recall is the share of attacks that are flagged, on sources left out while the codebook was made: ${figures}.`;
}
