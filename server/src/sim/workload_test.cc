#include "sim/workload.h"

#include <gtest/gtest.h>

#include "lang/parse.h"

namespace mc::sim {
namespace {

TEST(Workload, EveryDefinitionIsValid) {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    Rng rng(seed);
    for (const auto make :
         {random_definition, random_scheduled_definition, random_child_definition}) {
      const std::string text = make(rng);
      const lang::Parsed parsed = lang::parse_workflow(text);
      ASSERT_TRUE(parsed.ok()) << "seed " << seed << ": " << parsed.errors.front().message << "\n"
                               << text;
    }
  }
}

}  // namespace
}  // namespace mc::sim
