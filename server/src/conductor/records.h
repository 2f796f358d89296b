// Kinds and keys of the small documents that the store keeps (db::Record), and what is in each.
#pragma once

#include <string>
#include <string_view>

#include "base/sha256.h"

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
inline constexpr std::string_view kWorkerKind =
    "worker";  // key ID: {name, labels, slots, version, registered_at}

}  // namespace mc::conductor
