#include "worker/patient_api.h"

#include <algorithm>
#include <filesystem>

#include "worker/session.h"

namespace mc::worker {

template <class Call>
auto PatientApi::insist(const Call& call) -> decltype(call()) {
  const auto until = std::chrono::steady_clock::now() + kStoragePatience;
  for (;;) {
    auto answer = call();
    if (answer.ok() || !is_passing(answer.error())) return answer;
    if (std::chrono::steady_clock::now() >= until || !pause_()) return answer;
  }
}

Result<client::BlobState> PatientApi::find_blob(const client::Hold& hold,
                                                const std::string& digest) {
  return insist([&] { return api_.find_blob(hold, digest); });
}

// `best`: the most that the server has had.
Status PatientApi::send_parts(const client::Hold& hold, const std::string& digest,
                              const std::string& file, client::FilePart next, std::int64_t& best) {
  for (;;) {
    next.length = std::clamp<std::int64_t>(next.file_size - next.offset, 0, part_bytes_);
    const auto end = api_.put_part(hold, digest, file, next);
    if (!end.ok()) return end.error();
    best = std::max(best, *end);
    if (*end >= next.file_size) return {};
    if (*end <= next.offset)
      return Error{Code::unreachable, "the server took a part and stands where it stood", {}};
    next.offset = *end;
  }
}

Status PatientApi::send_rest(const client::Hold& hold, const std::string& digest,
                             const std::string& file, std::int64_t& best) {
  const auto known = api_.find_blob(hold, digest);
  if (!known.ok()) return known.error();
  if (known->whole) return {};
  std::error_code unknown;
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(file, unknown));
  if (unknown || size <= part_bytes_ || !known->arrived) return api_.put_blob(hold, digest, file);
  best = std::max(best, *known->arrived);
  return send_parts(hold, digest, file, {.offset = *known->arrived, .file_size = size}, best);
}

Status PatientApi::put_blob(const client::Hold& hold, const std::string& digest,
                            const std::string& file) {
  std::int64_t best = 0;
  bool began_anew = false;
  for (auto until = std::chrono::steady_clock::now() + kStoragePatience;;) {
    const std::int64_t before = best;
    Status sent = send_rest(hold, digest, file, best);
    if (sent.ok()) return sent;
    const Code code = sent.error().code;
    // Another place than ours, or a server that takes no parts any more: ask again.
    const bool elsewhere = code == Code::conflict || code == Code::method_not_allowed;
    // What a machine that lost its power kept of an earlier part may be wrong.
    const bool torn = code == Code::invalid_field && best > 0 && !std::exchange(began_anew, true);
    if (!elsewhere && !torn && !is_passing(sent.error())) return sent;
    if (best > before) until = std::chrono::steady_clock::now() + kStoragePatience;
    if (std::chrono::steady_clock::now() >= until || !pause_()) return sent;
  }
}

Status PatientApi::get_blob(const client::Hold& hold, const std::string& digest,
                            const std::string& file) {
  return insist([&] { return api_.get_blob(hold, digest, file); });
}
Result<std::optional<client::CacheEntry>> PatientApi::cache_get(const client::Hold& hold,
                                                                const std::string& scope,
                                                                const std::string& key) {
  return insist([&] { return api_.cache_get(hold, scope, key); });
}
Status PatientApi::cache_put(const client::Hold& hold, const std::string& scope,
                             const std::string& key, const client::CacheEntry& entry) {
  return insist([&] { return api_.cache_put(hold, scope, key, entry); });
}
Result<std::vector<ArtifactRef>> PatientApi::find_artifacts(const client::Hold& hold, Uuid run,
                                                            const std::string& name) {
  return insist([&] { return api_.find_artifacts(hold, run, name); });
}

}  // namespace mc::worker
