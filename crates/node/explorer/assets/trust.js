// What this browser trusts, and why; where a reader may trust something else.

import { card, clean, digest, h, heading, icon, pairs, say } from "./dom.js";
import { count, moment } from "./format.js";
import { forget, pin, pinnedOrFirst } from "./pin.js";

const HOW = {
  "first use": "from this node, when it was first asked. Compare the digest with one from somebody else.",
  pasted: "by you",
  reached: "by you; certificates that were checked here led on to this epoch",
};

export async function trust({ signal, again }) {
  const { pin: point, isNew } = await pinnedOrFirst(signal);
  return [
    heading("Trust", "Certificates are checked from one point that this browser remembers. Everything here rests on it."),
    h("section", { class: point.from === "first use" ? "card note-open" : "card note-good" },
      h("h2", {}, point.from === "first use" ? "Taken on first use" : "Pinned"),
      h("p", {}, point.from === "first use"
        ? "You have not compared this checkpoint with anybody else's. Whoever controlled this node at that moment chose the committee that this browser believes. Ask someone you trust for the digest of their checkpoint, or paste theirs below."
        : "This checkpoint was given by you, or follows from one that was."),
      isNew ? h("p", { class: "soft" }, "It was pinned just now.") : null),
    card("The pinned checkpoint", pairs([
      ["Digest to compare", digest(point.digest, { whole: true })], ["Network", digest(point.network, { whole: true })], ["Epoch", count(point.epoch)], ["Height", count(point.height)],
      ["Time", moment(point.time)], ["Committee", digest(point.committee, { whole: true })], ["Came", HOW[point.from]], ["Pinned", moment(point.at)], ["Bytes", digest(point.bytes)],
    ])),
    card("Trust another one", form(again), h("p", { class: "soft" }, "A checkpoint may be at most 14 days old: later, those who signed may have taken their stake away. "),
      h("p", {}, h("button", { type: "button", class: "button quiet", onclick: () => { forget(); again(); } }, "Forget it, and ask this node again"))),
    card("What else is trusted", h("ul", { class: "plain" },
      h("li", {}, "This page and its checking module came from this node. A node that lies can serve a page that lies. To rule that out, open a copy of the page from a source of your own, or check the files with the command line: ", h("code", {}, "zerotell certify"), " and ", h("code", {}, "zerotell verify"), "."),
      h("li", {}, "A certificate shows that two thirds of the seats finalised a state with this entry. It does not show that the verdict in it is right; the proof shows that, and is checked here too, where the node has it."),
      h("li", {}, "A record may be recalled after the block of its certificate."))),
  ];
}

function form(again) {
  const field = h("textarea", { id: "bytes", rows: 4, spellcheck: "false", autocomplete: "off", placeholder: "Hexadecimal bytes of a checkpoint", maxlength: 4000 });
  const told = h("p", { class: "refused", role: "alert" });
  return h("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        await pin(field.value.replace(/\s/gu, "").toLowerCase(), "pasted");
        say("Pinned");
        again();
      } catch (error) {
        told.replaceChildren(icon("failed"), ` ${clean(error.message)}`);
      }
    },
  }, h("label", { for: "bytes" }, "Checkpoint"), field, told, h("button", { type: "submit", class: "button" }, "Pin this checkpoint"));
}
