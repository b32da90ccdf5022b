import { policyConformance } from "../policy/conformance.js";
import { tabularPolicy } from "./tabular-policy.test-support.js";

const habits = ["<search>capital of", "the answer is here"];

policyConformance("the tabular policy", () => tabularPolicy({ habits }), {
  lacks: [
    {
      reason: "it looks at one token and has no context to fill",
      tests: ["the context ends the sample as length", "a prefix that fills the context is refused in words"],
    },
    {
      reason: "it draws from its whole distribution",
      tests: [
        "greedy takes the likeliest token",
        "sampled log-probabilities are those of the temperature and the nucleus",
      ],
    },
    { reason: "it holds nothing to release", tests: ["closing rejects what is pending and what comes later"] },
  ],
});
