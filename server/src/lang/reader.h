// What every section's reader works with: typed access to YAML nodes that reports what is wrong and
// where, and goes on, so that all problems are found at once.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "lang/keys.h"
#include "lang/yaml.h"
#include "model/workflow.h"

namespace mc::lang {

class Reader {
 public:
  std::vector<Problem> errors;
  std::vector<Problem> warnings;

  void error(const YamlNode& at, std::string code, std::string message, std::string hint = {});
  void warn(const YamlNode& at, std::string code, std::string message, std::string hint = {});
  // As error and warn, for the part of a scalar that begins `offset` bytes into it.
  void error_at(const YamlNode& at, std::size_t offset, std::string code, std::string message,
                std::string hint = {});
  void warn_at(const YamlNode& at, std::size_t offset, std::string code, std::string message,
               std::string hint = {});
  // More errors than are kept: what is left need not be looked at.
  bool full() const { return errors.size() >= kProblemsMax; }

  // "did you mean `x`?" or, when nothing is near and they are few, "known are: …". Bounded over the
  // whole definition: after many questions there are no more answers.
  std::string suggest(std::string_view word, const std::vector<std::string>& names);

  // A mapping with the section's keys only; others are reported. False: not a mapping.
  bool keys(const YamlNode& node, const Section& section);

  // Each reads the member `key` of `node` into `into` when it is there and of the type; else
  // reports. Returns the member, or nullptr when it is absent or wrong.
  const YamlNode* text(const YamlNode& node, std::string_view key, std::string& into);
  const YamlNode* boolean(const YamlNode& node, std::string_view key, bool& into);
  const YamlNode* integer(const YamlNode& node, std::string_view key, int& into, int min, int max);
  const YamlNode* real(const YamlNode& node, std::string_view key, double& into, double min,
                       double max);
  const YamlNode* duration(const YamlNode& node, std::string_view key, Millis& into);
  // As duration, of at least a millisecond: a limit.
  const YamlNode* limit(const YamlNode& node, std::string_view key, Millis& into);
  const YamlNode* texts(const YamlNode& node, std::string_view key,
                        std::vector<std::string>& into);  // one or a list
  const YamlNode* bindings(const YamlNode& node, std::string_view key, Bindings& into);
  // `env`: names that a shell knows, values that are no lists or mappings.
  void environment(const YamlNode& node, Bindings& into);
  // Whether the member `key` is an expression, whose value comes later: then `into` has its text.
  bool late(const YamlNode& node, std::string_view key, std::string& into);
  // A condition: with or without ${{ }}; kept without.
  const YamlNode* condition(const YamlNode& node, std::string_view key, std::string& into);

  std::optional<std::string> as_text(const YamlNode& node,
                                     std::string_view what);  // any scalar but null
  std::optional<Millis> as_duration(const YamlNode& node, std::string_view what);
  // One of `names`: its place, or nullopt (reported).
  std::optional<std::size_t> choice(const YamlNode& node, std::string_view what,
                                    std::initializer_list<std::string_view> names);

 private:
  static constexpr std::size_t kProblemsMax = 200;
  static constexpr std::size_t kSuggestionsMax = 100'000;  // names compared, in all

  void keep(std::vector<Problem>& list, const YamlNode& at, std::size_t offset, Problem problem);

  std::unordered_set<std::string> seen_;  // a problem of an alias or a default is told once
  std::size_t compared_ = 0;
};

bool is_scalar(const YamlNode& node);
bool is_list(const YamlNode& node);
bool is_object(const YamlNode& node);
// "a mapping", "a list", "a string", …: as messages name what was found.
std::string kind_name(const YamlNode& node);

// Names of jobs, steps, inputs, axes and services: letters, digits, _ and -, beginning with a
// letter or _, at most 100 bytes.
bool is_identifier(std::string_view text);
inline constexpr const char* kIdentifierRule =
    "has letters, digits, _ and - only, begins with a letter or _, and is at most 100 bytes long";

// The sections (read_*.cc).
void read_triggers(Reader& reader, const YamlNode& node, Triggers& into);
void read_inputs(Reader& reader, const YamlNode& node, std::vector<InputSpec>& into);
void read_concurrency(Reader& reader, const YamlNode& node, std::optional<ConcurrencySpec>& into);
void read_retry(Reader& reader, const YamlNode& node, RetrySpec& into);
void read_resources(Reader& reader, const YamlNode& node, Resources& into);
void read_matrix(Reader& reader, const YamlNode& node, MatrixSpec& into);
void read_approve(Reader& reader, const YamlNode& node, ApproveSpec& into);
void read_wait(Reader& reader, const YamlNode& node, WaitSpec& into);
void read_child(Reader& reader, const YamlNode& node, ChildSpec& into);
void read_cache(Reader& reader, const YamlNode& node, CacheSpec& into);
void read_artifacts(Reader& reader, const YamlNode& node, std::vector<ArtifactSpec>& into);
void read_services(Reader& reader, const YamlNode& node, std::vector<ServiceSpec>& into);
void read_steps(Reader& reader, const YamlNode& node, std::string_view what, Shell shell,
                std::vector<StepSpec>& into);

// A job's `needs` by name, resolved later.
struct RawJob {
  JobSpec spec;
  std::vector<std::pair<std::string, const YamlNode*>> needs;  // nodes of the tree that was read
  const YamlNode* node = nullptr;
  const YamlNode* key = nullptr;
};
// `node` has the workflow's defaults merged in. Requires: `node` outlives `into`.
void read_job(Reader& reader, const YamlNode& node, RawJob& into);
// The part of a job that says when, where and how often it runs; also `defaults`.
void read_policy(Reader& reader, const YamlNode& node, JobSpec& into);

}  // namespace mc::lang
