// Small documents that were decided and are not durable yet: whoever decides next builds on them.
// Without this, two changes of one document within the time of a commit would each build on what is
// stored, and the later would undo the earlier. Those that were read last are remembered: this is
// the only one who changes them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "db/store.h"

namespace mc::conductor {

// Thread rule: the loop's.
class RecordsAhead {
 public:
  explicit RecordsAhead(db::Store& store) : store_(store) {}

  // The document's JSON as it will be once everything decided is durable; nullopt: there is none.
  Result<std::optional<std::string>> get(std::string_view kind, std::string_view key);
  // A change of it is on its way.
  bool has(std::string_view kind, std::string_view key) const;
  // Adds `put` to the batch that is being gathered, in the place of an earlier put of the same
  // document in it.
  void put(std::vector<db::RecordPut>& batch, db::RecordPut put);

  // The batch that was gathered is on its way; a new one begins.
  void sent() { ++gathering_; }
  // The batch that was sent last is durable.
  void landed(const std::vector<db::RecordPut>& batch);
  // What was ahead is lost.
  void clear() {
    ahead_.clear();
    read_.clear();
  }

 private:
  struct Ahead {
    std::optional<std::string> json;  // nullopt: removed
    std::int64_t batch = 0;           // the number of the batch that carries it
  };
  using Key = std::pair<std::string, std::string>;  // kind and key
  db::Store& store_;
  std::map<Key, Ahead> ahead_;
  std::map<Key, std::string> read_;  // as stored; none that is ahead
  std::int64_t gathering_ = 1;
};

}  // namespace mc::conductor
