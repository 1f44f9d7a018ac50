#pragma once
// What tests expect of an exploration: a proof, or that a certain failure is found.

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "model/interleaver.h"

namespace runnel::model {

// Nothing is wrong, and every schedule has been tried. Says how many there were: a number that falls to a handful
// tells that the program no longer does what it was written for.
inline ::testing::AssertionResult proves(const options& wanted, const program_body& body) {
  result r = explore(wanted, body);
  if (!r.ok || !r.complete) return ::testing::AssertionFailure() << r.trace;
  std::printf("             %llu executions, %llu given up as redundant\n",
              static_cast<unsigned long long>(r.executions),
              static_cast<unsigned long long>(r.redundant));
  return ::testing::AssertionSuccess();
}
inline ::testing::AssertionResult proves(const program_body& body) { return proves({}, body); }

// A failure whose description contains `what`, with a schedule that ends in it.
inline ::testing::AssertionResult finds(const std::string& what, const options& wanted,
                                        const program_body& body) {
  result r = explore(wanted, body);
  if (r.ok) {
    return ::testing::AssertionFailure() << "nothing found in " << r.executions << " executions";
  }
  if (r.failure.find(what) == std::string::npos || r.trace.find("FAILED") == std::string::npos) {
    return ::testing::AssertionFailure() << r.trace;
  }
  return ::testing::AssertionSuccess();
}
inline ::testing::AssertionResult finds(const std::string& what, const program_body& body) {
  return finds(what, {}, body);
}

}  // namespace runnel::model
