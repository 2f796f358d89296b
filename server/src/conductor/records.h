// Kinds and keys of the small documents that the store keeps (db::Record), and what is in each.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/sha256.h"
#include "base/uuid.h"

namespace mc::conductor {

inline constexpr std::string_view kWorkflowKind =
    "workflow";  // key PROJECT/NAME: {name, version, digest, created_at, deleted}
inline constexpr std::string_view kVersionKind =
    "workflow_version";  // key PROJECT/NAME/0000000001: {version, digest, created_at, by}
inline constexpr std::string_view kDefinitionKind = "definition";  // key sha256:…: {text}
inline constexpr std::string_view kScheduleKind = "schedule";      // key PROJECT/ID
inline constexpr std::string_view kTokenKind =
    "token";  // key ID: {name, role, project, hash, created_at, expires_at, …}
inline constexpr std::string_view kSecretKind =
    "secret";  // key PROJECT/NAME: {sealed, created_at, updated_at}
inline constexpr std::string_view kVariableKind = "variable";  // key PROJECT/NAME: {value}
inline constexpr std::string_view kCacheKind =
    "cache";  // key PROJECT/SCOPEHASH/KEYHASH: see worker-protocol.md
// Hashed, so that a scope and a key may be any text.
inline std::string cache_record_key(const std::string& project, std::string_view scope,
                                    std::string_view key) {
  return project + "/" + sha256_hex(scope) + "/" + sha256_hex(key);
}
// Key DIGEST/RUN/JOB: {until}, ms since the epoch. JOB is the number of its node, or `kept` for
// what a re-run took over.
inline constexpr std::string_view kBlobUseKind = "blob_use";
inline std::string blob_use_key(std::string_view digest, std::string_view run,
                                std::string_view by) {
  return std::string(digest) + "/" + std::string(run) + "/" + std::string(by);
}
// nullopt: no key of that kind.
inline std::optional<Uuid> run_of_blob_use(std::string_view key) {
  const std::size_t from = key.find('/');
  const std::size_t to = from == std::string_view::npos ? from : key.find('/', from + 1);
  if (to == std::string_view::npos) return std::nullopt;
  return parse_uuid(key.substr(from + 1, to - from - 1));
}
inline constexpr std::string_view kCollectorKind =
    "collector";  // key feed: {position}, up to which blob_use is known
inline constexpr std::string_view kWorkerKind =
    "worker";  // key ID: {name, labels, slots, version, registered_at}

}  // namespace mc::conductor
