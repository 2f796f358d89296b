// Where the API server is, and how to prove who we are.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace mc::kube {

struct Access {
  std::string server;           // "https://10.0.0.1:6443", without a slash at the end
  std::string ca_pem;           // empty: the system's
  std::string certificate_pem;  // of the client, with its key; empty: none
  std::string key_pem;
  bool verify = true;
  std::string token;
  std::string token_file;      // wins over `token`; read again, since it is rotated
  std::string namespace_name;  // of the context; empty: not said
};

using ReadFile = std::function<Result<std::string>(const std::string& path)>;

// The current context of a kubeconfig's text. Relative paths in it are relative to `folder`.
// Errors: invalid_setting, saying what to mend: not YAML, a missing context, cluster or user, no
// https server, unreadable files, and what is not supported (exec, auth-provider, tls-server-name,
// user names with passwords, proxies). No message quotes a credential.
Result<Access> read_kubeconfig(std::string_view text, const std::string& folder,
                               const ReadFile& read);

// What a pod is given: KUBERNETES_SERVICE_HOST and _PORT, and the files of its service account.
// Errors: invalid_setting (not in a pod, or without a service account's token).
Result<Access> in_cluster(const std::string& host, const std::string& port, const ReadFile& read);

// RFC 4648 with padding; line breaks are passed over. Errors: invalid_field.
Result<std::string> from_base64(std::string_view text);

}  // namespace mc::kube
