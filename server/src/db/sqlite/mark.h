// maestro.mark: how far the store had come when it last answered a commit. It costs a write of 64
// bytes without a sync, so a power cut may leave an older mark, never a newer one; whatever else
// takes commits away (a lost or cut maestro.db-wal, an older maestro.db put in its place) is found
// at the next open. docs/adr/0008-mark-of-acknowledged-commits.md says why.
//
// Who replaces maestro.db on purpose removes the mark. No mark, or one that cannot be read: nothing
// is claimed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace mc::db {

inline constexpr const char* kMarkFile = "maestro.mark";

// Every commit moves one of the two, and none ever goes back.
struct Progress {
  std::int64_t position = 0;  // of the last event group
  std::int64_t quiet = 0;     // commits without events
  bool operator==(const Progress&) const = default;
};

// What the mark of this folder says, if there is a good one.
std::optional<Progress> read_mark(const std::string& folder);

// Errors: data_folder, with what to do, when `found` lacks commits that the `mark` knows of.
Status check_mark(const std::string& folder, const std::optional<Progress>& mark,
                  const Progress& found);
void drop_mark(const std::string& folder);

// Keeps the mark. Thread rule: single owner.
class Mark {
 public:
  explicit Mark(std::string folder) : folder_(std::move(folder)) {}
  // Best effort: what cannot be written leaves the older mark, which claims less.
  void set(const Progress& reached);

 private:
  std::string folder_;
  Fd file_;
};

}  // namespace mc::db
