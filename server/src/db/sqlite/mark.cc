#include "db/sqlite/mark.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "base/sha256.h"
#include "base/text.h"
#include "db/sqlite/folder.h"

namespace mc::db {
namespace {
constexpr std::size_t kMarkBytes = 64;
constexpr std::size_t kSumDigits = 8;
constexpr mode_t kFileMode = 0600;

std::string path_of(const std::string& folder) { return folder + "/" + kMarkFile; }

std::int64_t number(const std::string& digits) {
  std::int64_t value = -1;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

// One line of always the same length, so that it is overwritten as a whole.
std::string line_of(const Progress& reached) {
  std::string line = fmt::format("events {:016} others {:016} ", reached.position, reached.quiet);
  line += sha256_hex(line).substr(0, kSumDigits);
  line.resize(kMarkBytes - 1, ' ');
  return line + "\n";
}
}  // namespace

std::optional<Progress> read_mark(const std::string& folder) {
  const Result<std::string> text = read_file(path_of(folder), kMarkBytes);
  if (!text.ok()) return std::nullopt;
  const std::vector<std::string> words = split(*text, ' ');
  if (words.size() < 5) return std::nullopt;
  const Progress reached{number(words[1]), number(words[3])};
  if (line_of(reached) != *text) return std::nullopt;
  return reached;
}

Status check_mark(const std::string& folder, const std::optional<Progress>& mark,
                  const Progress& found) {
  if (!mark || (found.position >= mark->position && found.quiet >= mark->quiet)) return {};
  return Error{
      Code::data_folder,
      fmt::format("{} lacks commits that were acknowledged: it ends at event group {} and {} other "
                  "commits, {} knows of {} and {}. {}-wal was lost or cut, or an older {} took its "
                  "place. Put both files back as they were, or restore a backup; to go on without "
                  "what is missing, remove {}",
                  database_path(folder), found.position, found.quiet, kMarkFile, mark->position,
                  mark->quiet, kDatabaseFile, kDatabaseFile, path_of(folder)),
      {}};
}

void drop_mark(const std::string& folder) { (void)::unlink(path_of(folder).c_str()); }

void Mark::set(const Progress& reached) {
  if (!file_) {
    file_ = Fd(::open(path_of(folder_).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, kFileMode));
    if (!file_) return;
  }
  const std::string line = line_of(reached);
  if (::pwrite(file_.get(), line.data(), line.size(), 0) < 0) file_.close();
}

}  // namespace mc::db
