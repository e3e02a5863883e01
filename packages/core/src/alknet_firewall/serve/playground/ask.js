// Asks the server about a text. Only one question is open at a time: a newer one calls the older one off.

let open = null;

/** What the page must know at first. */
export async function about() {
  const response = await fetch("about.json");
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

/**
 * Has a text read.
 * @param {object} question text, channel, block, review
 * @param {(step: object) => void} onStep called with each line of the answer: progress, and at last everything
 * @returns {Promise<boolean>} false if a newer question called it off
 */
export async function read(question, onStep) {
  open?.abort();
  const mine = (open = new AbortController());
  try {
    const response = await fetch("read", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(question),
      signal: mine.signal,
    });
    if (!response.ok) throw await problemOf(response);
    let whole = false;
    for await (const line of linesOf(response.body)) {
      const step = JSON.parse(line);
      if (step.problem) throw new Error(`${step.problem.detail}: ${step.problem.hint}`);
      whole = "nearest" in step;
      onStep(step);
    }
    // A verdict on the beginning of a text is none: say so, and do not leave it standing.
    if (!whole) throw new Error("the answer broke off: no verdict");
    return true;
  } catch (error) {
    if (mine.signal.aborted) return false;
    throw error;
  }
}

/** Calls an open question off. */
export function callOff() {
  open?.abort();
}

async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  return new Error(body.detail ? `${body.detail}: ${body.hint ?? body.error}` : `the server answered ${response.status}`);
}

async function* linesOf(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    waiting += decoder.decode(value, { stream: !done });
    const lines = waiting.split("\n");
    waiting = lines.pop();
    yield* lines;
    if (done) return;
  }
}
