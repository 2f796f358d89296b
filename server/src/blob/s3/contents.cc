#include "blob/s3/contents.h"

#include <algorithm>

#include "base/log.h"
#include "blob/s3/put_file.h"

namespace mc::blob {
namespace {
constexpr std::string_view kDigestPrefix = "sha256:";
constexpr std::string_view kFolder = "sha256/";
constexpr Millis kKnown{10 * 60'000};  // for so long an answer of has() is believed
constexpr Millis kLocalLeast{60'000};  // whoever was given a local file has it open by then
constexpr std::size_t kUsedMax = 200'000;
constexpr int kFetches = 2;
constexpr std::string_view kDoomedFolder = "doomed/";
constexpr Millis kRemoval{20'000};     // so long after its mark a removal may still begin
constexpr Millis kDoomedWait{30'000};  // a mark that stays longer was left by a crash
constexpr std::chrono::milliseconds kPause{100};
constexpr Millis kJust{20 * 60'000};    // S3 refuses clocks that differ by 15 minutes
constexpr Millis kMarkLeft{3'600'000};  // marks of crashes go then

std::string key_of(std::string_view digest) {
  const std::string hex = hex_of_digest(digest);
  return hex.empty() ? hex : std::string(kFolder) + hex;
}

std::string mark_of(std::string_view digest) {
  return std::string(kDoomedFolder) + hex_of_digest(digest);
}
}  // namespace

class S3Contents::Busy {
 public:
  Busy(S3Contents& owner, std::string_view digest) : owner_(owner), digest_(digest) {
    std::unique_lock lock(owner_.mutex_);
    owner_.freed_.wait(lock, [&] { return owner_.busy_.insert(digest_).second; });
  }
  ~Busy() {
    {
      const std::scoped_lock lock(owner_.mutex_);
      owner_.busy_.erase(digest_);
    }
    owner_.freed_.notify_all();
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  S3Contents& owner_;
  const std::string digest_;
};

namespace {
class RelayedUpload final : public BlobStore::Upload {
 public:
  RelayedUpload(S3Contents& contents, std::unique_ptr<BlobStore::Upload> local)
      : contents_(contents), local_(std::move(local)) {}
  Status write(std::string_view bytes) override { return local_->write(bytes); }
  Status finish(std::string_view expected_digest) override {
    if (Status kept = local_->finish(expected_digest); !kept) return kept;
    return contents_.send(std::string(expected_digest));
  }

 private:
  S3Contents& contents_;
  std::unique_ptr<BlobStore::Upload> local_;
};

// `local`: null when the whole is in the local copy already, and only S3 may lack it.
class RelayedPart final : public BlobStore::Part {
 public:
  RelayedPart(S3Contents& contents, std::unique_ptr<BlobStore::Part> local, std::string digest,
              std::int64_t size)
      : contents_(contents), local_(std::move(local)), digest_(std::move(digest)), size_(size) {}
  Status write(std::string_view bytes) override {
    if (local_) return local_->write(bytes);
    return Error{Code::invalid_field, "the part goes beyond the upload's length", {}};
  }
  Result<std::int64_t> finish() override {
    const auto end = local_ ? local_->finish() : Result<std::int64_t>(size_);
    if (!end || *end < size_) return end;
    const Status sent = contents_.send(digest_);
    return sent ? end : sent.error();
  }

 private:
  S3Contents& contents_;
  const std::unique_ptr<BlobStore::Part> local_;
  const std::string digest_;
  const std::int64_t size_;
};

Error as_store_failure(const Error& error) {
  return {
      error.code == Code::unreachable ? Code::unreachable : Code::store_failed, error.message, {}};
}
}  // namespace

S3Contents::S3Contents(S3Client& client, const std::string& folder, std::int64_t cache_bytes_max,
                       Millis young, Clock& clock)
    : client_(client),
      cache_bytes_max_(cache_bytes_max),
      young_(young),
      clock_(clock),
      local_(folder),
      parts_(folder, local_) {}

Status S3Contents::prepare() {
  if (Status ready = local_.prepare(); !ready) return ready;
  if (Status ready = parts_.prepare(); !ready) return ready;
  std::int64_t bytes = 0;
  for (const Content::Stored& stored : local_.list()) bytes += stored.size;
  local_bytes_ = bytes;
  return {};
}

Result<std::unique_ptr<BlobStore::Upload>> S3Contents::begin_upload() {
  auto local = local_.begin_upload();
  if (!local) return local;
  return std::unique_ptr<BlobStore::Upload>(
      std::make_unique<RelayedUpload>(*this, std::move(*local)));
}

std::int64_t S3Contents::arrived(const PartsKey& key) {
  const std::int64_t bytes = parts_.arrived(key);
  const auto whole = local_.open(key.digest);
  return whole ? whole->size : bytes;
}

Result<std::unique_ptr<BlobStore::Part>> S3Contents::resume(const PartsKey& key,
                                                            std::int64_t offset,
                                                            std::int64_t size) {
  std::unique_ptr<BlobStore::Part> part;
  const auto whole = local_.open(key.digest);
  if (!whole || offset != whole->size || size != whole->size) {
    auto resumed = parts_.resume(key, offset, size);
    if (!resumed) return resumed;
    part = std::move(*resumed);
  }
  return std::unique_ptr<BlobStore::Part>(
      std::make_unique<RelayedPart>(*this, std::move(part), key.digest, size));
}

Status S3Contents::send(const std::string& digest) {
  const Busy busy(*this, digest);
  const auto file = local_.open(digest);
  if (!file) return Error{Code::store_failed, "an upload has vanished from the disk", {}};
  local_bytes_ += file->size;
  const Instant began = clock_.now();
  for (;;) {
    const auto sent = send_once(digest, *file);
    if (!sent) return as_store_failure(sent.error());
    if (*sent) break;
    if (clock_.now() - began >= kDoomedWait) {
      // A mark that was left behind.
      if (!client_.head(key_of(digest)))
        return Error{Code::store_failed, "a blob was removed while it was sent", {}};
      note_use(digest, clock_.now());
      break;
    }
    // It is about to be removed, perhaps; then it is sent again.
    std::unique_lock lock(mutex_);
    freed_.wait_for(lock, kPause);
  }
  shrink();
  return {};
}

// False: it may go yet.
Result<bool> S3Contents::send_once(const std::string& digest, const BlobStore::File& file) {
  const std::string key = key_of(digest);
  const auto is_young = [&](const Result<S3Object>& object) {
    return object && object->size == file.size && clock_.now() - object->modified < young_;
  };
  auto known = client_.head(key);
  if (!known && known.error().code != Code::not_found) return known.error();
  // An old one is sent again: the garbage collection goes by when it came.
  const bool was_young = is_young(known);
  // What is not there may be about to go as well: a removal that was carried out is asked for again
  // when its answer was lost.
  const bool may_go = !known || !was_young || clock_.now() - known->modified < kJust;
  if (!was_young) {
    const Status sent = put_file(client_, key, file.path, file.size);
    // Somebody else may have sent it meanwhile.
    if (!sent && sent.error().code != Code::unreachable) known = client_.head(key);
    if (!sent && !is_young(known)) return sent.error();
  }
  if (may_go && !stays(digest)) return false;
  note_use(digest, was_young ? known->modified : clock_.now());
  return true;
}

// For a blob that was made young a moment ago. False: somebody, perhaps on another machine, may be
// removing it and not have seen that, or has removed it.
bool S3Contents::stays(const std::string& digest) {
  const auto mark = client_.head(mark_of(digest));
  const bool marked =
      mark ? clock_.now() - mark->modified < kMarkLeft : mark.error().code != Code::not_found;
  return !marked && client_.head(key_of(digest)).ok();
}

bool S3Contents::has(std::string_view digest) {
  const std::string key = key_of(digest);
  if (key.empty()) return false;
  const std::string name(digest);
  const Busy busy(*this, name);
  if (is_known(name)) {
    note_use(name);
    return true;
  }
  const auto known = client_.head(key);
  if (!known && known.error().code != Code::not_found)
    log_warn("S3 cannot be asked for a blob", {{"reason", known.error().message}});
  if (!known) return false;
  // Another server, which knows nothing of this use, goes by when the object came.
  const bool young = clock_.now() - known->modified < young_;
  const Status renewed = young ? Status() : client_.renew(key);
  if (!renewed) {
    // Whoever asks sends it again, which makes it young, too.
    log_warn("S3 does not renew an object", {{"reason", renewed.error().message}});
    return false;
  }
  if ((!young || clock_.now() - known->modified < kJust) && !stays(name)) return false;
  note_use(name, young ? known->modified : clock_.now());
  return true;
}

Result<BlobStore::File> S3Contents::open(std::string_view digest) {
  const std::string name(digest);
  if (key_of(digest).empty()) return local_.open(digest);
  const Busy busy(*this, name);
  if (local_.touch(digest)) return local_.open(digest);
  Status fetched;
  for (int attempt = 0; attempt < kFetches; ++attempt) {
    fetched = fetch(name);
    if (fetched || fetched.error().code == Code::not_found) break;
  }
  if (!fetched && fetched.error().code == Code::not_found) return local_.open(digest);
  if (!fetched) return as_store_failure(fetched.error());
  auto file = local_.open(digest);
  if (file) local_bytes_ += file->size;
  shrink();
  return file;
}

Status S3Contents::fetch(const std::string& digest) {
  auto copy = local_.begin_upload();
  if (!copy) return copy.error();
  Status written;
  const Status got = client_.get(key_of(digest), [&](std::string_view piece) {
    written = (*copy)->write(piece);
    return written.ok();
  });
  if (!written) return written;
  if (!got) return got;
  if (const Status kept = (*copy)->finish(digest); !kept) {
    log_error("S3 gave other bytes than were put there", {{"digest", digest}});
    return Error{Code::store_failed, "S3 gave other bytes than " + digest, {}};
  }
  return {};
}

Result<std::vector<std::string>> S3Contents::list_unused(Instant before, std::string_view after,
                                                         int limit) {
  std::vector<std::string> out;
  std::string from = key_of(after);
  constexpr int kPage = 1000;
  for (;;) {
    const auto page = client_.list(std::string(kFolder), from, kPage);
    if (!page) return as_store_failure(page.error());
    for (const S3Object& object : *page) {
      from = object.key;
      std::string digest = std::string(kDigestPrefix) +
                           object.key.substr(std::min(kFolder.size(), object.key.size()));
      if (key_of(digest) != object.key || object.modified >= before || used_since(digest, before))
        continue;
      out.push_back(std::move(digest));
      if (static_cast<int>(out.size()) >= limit) return out;
    }
    if (page->size() < kPage) return out;
  }
}

Result<bool> S3Contents::remove_unused(std::string_view digest, Instant before) {
  const std::string key = key_of(digest);
  if (key.empty()) return false;
  const std::string name(digest);
  const Busy busy(*this, name);
  if (used_since(name, before)) return false;
  const auto known = client_.head(key);
  if (!known && known.error().code == Code::not_found) return false;
  if (!known) return as_store_failure(known.error());
  if (known->modified >= before) return false;
  const auto gone = remove_marked(name, before);
  if (!gone) return as_store_failure(gone.error());
  if (!*gone) return false;
  {
    const std::scoped_lock lock(mutex_);
    used_.erase(name);
  }
  if (const Status copy = local_.remove(digest); !copy) return copy.error();
  return true;
}

// The mark comes before the last look at the age; who makes a blob young looks for the mark
// afterwards. So one of both sees the other.
Result<bool> S3Contents::remove_marked(const std::string& digest, Instant before) {
  const std::string key = key_of(digest);
  const Instant began = clock_.now();
  if (const Status marked = client_.put(mark_of(digest), ""); !marked) return marked.error();
  const auto known = client_.head(key);
  const bool late = clock_.now() - began >= kRemoval;
  const bool goes = known && known->modified < before && !late;
  // After a failure the mark stays: it may yet go.
  if (const Status gone = goes ? client_.remove(key) : Status(); !gone) return gone.error();
  if (const Status gone = client_.remove(mark_of(digest)); !gone)
    log_warn("S3 keeps a mark", {{"reason", gone.error().message}});
  if (!known && known.error().code != Code::not_found) return known.error();
  return goes;
}

Status S3Contents::drop_uploads(Instant before) {
  if (const Status dropped = parts_.drop(before); !dropped) return dropped;
  constexpr int kMarksAtOnce = 1000;
  const auto marks = client_.list(std::string(kDoomedFolder), "", kMarksAtOnce);
  if (!marks) return as_store_failure(marks.error());
  for (const S3Object& mark : *marks) {
    if (mark.modified >= clock_.now() - kMarkLeft) continue;
    if (const Status gone = client_.remove(mark.key); !gone) return as_store_failure(gone.error());
  }
  const auto begun = client_.uploads(std::string(kFolder));
  if (!begun) return as_store_failure(begun.error());
  for (const S3Upload& upload : *begun) {
    if (upload.begun >= before || !upload.begun) continue;
    const Busy busy(*this, std::string(kDigestPrefix) + upload.key.substr(kFolder.size()));
    if (const Status dropped = client_.abort(upload); !dropped)
      return as_store_failure(dropped.error());
    log_info("S3: an upload that broke off was dropped", {{"key", upload.key}});
  }
  return {};
}

void S3Contents::note_use(const std::string& digest, std::optional<Instant> modified) {
  const Instant now = clock_.now();
  const std::scoped_lock lock(mutex_);
  if (used_.size() >= kUsedMax)
    std::erase_if(used_, [&](const auto& each) { return each.second.at < now - kKnown; });
  Use& use = used_[digest];
  use.at = now;
  if (modified) use.modified = *modified;
}

bool S3Contents::used_since(const std::string& digest, Instant since) {
  const std::scoped_lock lock(mutex_);
  const auto found = used_.find(digest);
  return found != used_.end() && found->second.at >= since;
}

// Whether S3 need not be asked: it had the blob a moment ago, and from not long before.
bool S3Contents::is_known(const std::string& digest) {
  const Instant now = clock_.now();
  const std::scoped_lock lock(mutex_);
  const auto found = used_.find(digest);
  return found != used_.end() && now - found->second.at < kKnown &&
         now - found->second.modified < young_;
}

// Requires nothing: may run on several threads, which then remove the same files.
void S3Contents::shrink() {
  if (local_bytes_ <= cache_bytes_max_) return;
  std::vector<Content::Stored> all = local_.list();
  std::int64_t bytes = 0;
  for (const Content::Stored& stored : all) bytes += stored.size;
  std::ranges::sort(all, {}, &Content::Stored::used);
  const Instant before = clock_.now() - kLocalLeast;
  // Some more than asked for, so that not every next blob looks at all of them.
  const std::int64_t enough = cache_bytes_max_ - cache_bytes_max_ / 10;
  for (const Content::Stored& stored : all) {
    if (bytes <= enough || stored.used >= before) break;
    const auto gone = local_.remove_unused(stored.digest, before);
    if (gone && *gone) bytes -= stored.size;
  }
  local_bytes_ = bytes;
}

}  // namespace mc::blob
