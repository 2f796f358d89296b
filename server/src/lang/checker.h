// Judges one expression where it stands: the names it mentions, its functions, the types that are
// known before it runs. check_expressions.cc goes through a definition and says where each stands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lang/ast.h"
#include "lang/reader.h"

namespace mc::lang {

enum Root : std::uint16_t {
  kInputs = 1,
  kNeeds = 2,
  kSteps = 4,
  kMatrix = 8,
  kEnv = 16,
  kVars = 32,
  kSecrets = 64,
  kRun = 128,
  kEvent = 256
};

// What a definition says that expressions can be held against.
class Definition {
 public:
  // Requires: both outlive it. nullptr: not known, and what hangs on it is not checked.
  Definition(const WorkflowSpec* workflow, const std::vector<RawJob>* graph);

  const WorkflowSpec* spec;
  const std::vector<RawJob>* jobs;
  const RawJob* find(std::string_view key) const;
  // Whether `job` needs `wanted`, directly or through others. In a cycle: true, which is another
  // error's matter.
  bool is_ancestor(const RawJob& job, const RawJob& wanted);

 private:
  void find_ancestors();

  std::unordered_map<std::string_view, JobIndex> index_;
  std::vector<std::uint64_t> ancestors_;  // a row of bits a job, made when first asked for
  std::vector<bool> known_;               // false: in a cycle, or behind one
};

// Where a template stands decides what it may mention.
struct Place {
  unsigned roots = 0;
  const RawJob* job = nullptr;
  bool any_job = false;                                    // `needs` is not only ancestors
  const std::unordered_set<std::string>* steps = nullptr;  // ids of earlier steps
  bool files = false;                                      // hash_files
  bool status = false;                                     // success() and the like
};

class Checker {
 public:
  Checker(Reader& reader, Definition& definition) : r_(reader), definition_(definition) {}

  // What is mentioned from now on goes there; nullptr: nowhere.
  void collect(References* into);
  // Every ${{ }} of `text`, which is the scalar `at` or a part of it.
  void text(const YamlNode& at, std::string_view text, const Place& place);
  // The inside of an `if`.
  void condition(const YamlNode& at, std::string_view text, const Place& place);

 private:
  using Path = std::vector<std::string>;
  Tree parse(std::string_view text);
  void walk(const Node& node, const Place& place);
  void root(const Node& node, const Place& place);
  void whole(const Node& node, const Place& place);
  void member(const Node& node, const Node& base, const Path& path, const Place& place);
  void input(const Node& node, const Path& path);
  void need(const Node& node, const Path& path, const Place& place);
  void step(const Node& node, const Path& path, const Place& place);
  void matrix(const Node& node, const Path& path, const Place& place);
  void call(const Node& node, const Place& place);
  void types(const Node& node, const Place& place);
  void wants_boolean(const Node& node, std::string_view who, const Place& place);
  void order(const Node& node, const Place& place);
  void equality(const Node& node, const Place& place);
  // `literal` is compared with a status: warns when it is none.
  void status_literal(const Node& literal, bool equal);
  std::optional<Value::Type> type_of(const Node& node, const Place& place) const;
  std::optional<Value::Type> type_of_path(const Node& base, const Path& path,
                                          const Place& place) const;

  void error(const Node& node, std::string code, std::string message, std::string hint = {});
  void missing(const Node& node, std::string_view what, const std::string& name,
               const std::vector<std::string>& names);
  void add(char kind, std::vector<std::string>& list, const std::string& name);

  Reader& r_;
  Definition& definition_;
  References* into_ = nullptr;
  std::unordered_set<std::string> seen_;  // what `into_` has already
  const YamlNode* at_ = nullptr;
  std::size_t base_ = 0;  // where the expression begins in *at_
  bool exact_ = false;    // whether that is known
};

// a.b['c'] as its root and the path b, c; nullptr when a key is computed.
const Node* static_path(const Node& node, std::vector<std::string>& path);

}  // namespace mc::lang
