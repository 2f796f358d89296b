// The folder that `maestro up` keeps everything in, apart from what the store and the blobs put
// there: admin.token (0600), secret.key (0600), worker.token (0600), server.json.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace mc::bin {

inline constexpr const char* kSecretKeyFile = "secret.key";
inline constexpr const char* kWorkerTokenFile = "worker.token";

// Makes the folder (0700) and those above it. Errors: data_folder, saying which and why.
Status make_data_folder(const std::string& path);

// The file's text without its last newline, or "" when there is none. Errors: data_folder.
Result<std::string> read_private(const std::string& folder, const std::string& name);
// Writes it whole with mode 0600. Errors: data_folder.
Status write_private(const std::string& folder, const std::string& name, std::string_view text);

// server.json: where the server that runs on this folder listens.
Status write_server_file(const std::string& folder, const std::string& url);
void remove_server_file(const std::string& folder);

}  // namespace mc::bin
