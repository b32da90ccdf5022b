/** @file A policy that has learned something, for cases in which a start at 0 would hide mistakes. */
import { makeValueData, regress } from "./conformance-critic.js";
import { bold, makeData, trainSteps } from "./conformance-training.js";
import type { Policy } from "../contracts/policy.js";

/** Some steps of the policy, where it trains, and of its critic, where it has one. */
export async function practise(policy: Policy): Promise<Policy> {
  if (policy.capabilities.training) await trainSteps(policy, makeData(policy, 4), 30, bold);
  if (policy.critic) await regress(policy.critic, makeValueData(policy, 4), 4);
  return policy;
}
