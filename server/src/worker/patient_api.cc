#include "worker/patient_api.h"

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

Result<bool> PatientApi::has_blob(const client::Hold& hold, const std::string& digest) {
  return insist([&] { return api_.has_blob(hold, digest); });
}
Status PatientApi::put_blob(const client::Hold& hold, const std::string& digest,
                            const std::string& file) {
  return insist([&] { return api_.put_blob(hold, digest, file); });
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
