// The keys of the language, section by section, each with what it means: the reader refuses others,
// the editor's schema describes these, and a test finds each in docs/reference/workflow.md.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace mc::lang {

struct Key {
  std::string_view name;
  std::string_view meaning;
};
struct Section {
  std::string_view name;  // in the schema: properties of $defs/<name>; "workflow" is the root
  std::string_view what;  // as messages name it: "a job"
  std::vector<Key> keys;
  const Key* find(std::string_view key) const;
};

namespace sections {
extern const Section kWorkflow, kTriggers, kPush, kSchedule, kInput, kConcurrency, kDefaults,
    kRetry, kTimeout, kResources, kJob, kStep, kApprove, kWait, kChild, kCache, kArtifact, kService,
    kContainer;
}  // namespace sections
std::span<const Section* const> all_sections();

}  // namespace mc::lang
