#include "kube/access.h"

#include <array>

#include "base/text.h"
#include "lang/yaml.h"

namespace mc::kube {
namespace {
constexpr const char* kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr unsigned kBitsOfDigit = 6;

Error bad(const std::string& what) {
  return {Code::invalid_setting, "the kubeconfig cannot be used: " + what, {}};
}

// The member `part` of the entry called `name` in the list `list`, or null.
const Value* named(const Value& config, std::string_view list, const std::string& name,
                   std::string_view part) {
  const Value* entries = config.find(list);
  if (entries == nullptr || !entries->is_list()) return nullptr;
  for (const Value& entry : entries->as_list()) {
    if (entry.string_or("name", "") == name) return entry.find(part);
  }
  return nullptr;
}

class Reader {
 public:
  Reader(const std::string& folder, const ReadFile& read) : folder_(folder), read_(read) {}

  // What `NAME-data` holds in base64, else what the file `NAME` holds, else nothing.
  Result<std::string> content(const Value& from, const std::string& name) const {
    const std::string data = from.string_or(name + "-data", "");
    if (!data.empty()) {
      auto decoded = from_base64(data);
      return decoded.ok() ? decoded : bad(name + "-data is not base64");
    }
    const std::string path = from.string_or(name, "");
    if (path.empty()) return std::string();
    auto text = read_(absolute(path));
    return text.ok() ? text : bad(name + ": " + text.error().message);
  }
  std::string absolute(const std::string& path) const {
    return path.starts_with('/') ? path : folder_ + "/" + path;
  }
  Status readable(const std::string& path) const {
    const auto text = read_(path);
    return text.ok() ? Status() : bad("tokenFile: " + text.error().message);
  }

 private:
  const std::string& folder_;
  const ReadFile& read_;
};

Status read_cluster(const Value& cluster, const Reader& reader, Access& into) {
  into.server = cluster.string_or("server", "");
  while (into.server.ends_with('/')) into.server.pop_back();
  if (!into.server.starts_with("https://") && !into.server.starts_with("http://"))
    return bad("the cluster's `server` is not an https URL");
  for (const char* unknown : {"tls-server-name", "proxy-url"}) {
    if (cluster.find(unknown) != nullptr)
      return bad(std::string("`") + unknown + "` is not supported");
  }
  into.verify = !cluster.bool_or("insecure-skip-tls-verify", false);
  auto ca = reader.content(cluster, "certificate-authority");
  if (!ca.ok()) return ca.error();
  into.ca_pem = std::move(*ca);
  return {};
}

Status read_user(const Value& user, const Reader& reader, Access& into) {
  for (const char* unknown : {"exec", "auth-provider", "username"}) {
    if (user.find(unknown) == nullptr) continue;
    return bad(std::string("the user's `") + unknown +
               "` is not supported: no program is started for credentials; use a token, a "
               "tokenFile or a client certificate, for example of a service account (kubectl "
               "create token NAME)");
  }
  into.token = user.string_or("token", "");
  if (const std::string file = user.string_or("tokenFile", ""); !file.empty()) {
    into.token_file = reader.absolute(file);
    if (Status there = reader.readable(into.token_file); !there) return there;
  }
  auto certificate = reader.content(user, "client-certificate");
  if (!certificate.ok()) return certificate.error();
  auto key = reader.content(user, "client-key");
  if (!key.ok()) return key.error();
  if (certificate->empty() != key->empty())
    return bad("a client certificate and a client key go together; one is missing");
  into.certificate_pem = std::move(*certificate);
  into.key_pem = std::move(*key);
  return {};
}

int digit_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}
}  // namespace

Result<Access> read_kubeconfig(std::string_view text, const std::string& folder,
                               const ReadFile& read) {
  const lang::YamlResult yaml = lang::read_yaml(text);
  if (!yaml.problems.empty()) {
    // The message of a problem may quote the text, which may be a token: the place has to do.
    return bad("it is not YAML (line " + std::to_string(yaml.problems.front().line) + ")");
  }
  const Value config = lang::to_value(yaml.root);
  const std::string current = config.string_or("current-context", "");
  if (current.empty())
    return bad("there is no current-context; choose one: kubectl config use-context NAME");
  const Value* context = named(config, "contexts", current, "context");
  if (context == nullptr) return bad("there is no context `" + current + "`");
  const std::string cluster_name = context->string_or("cluster", "");
  const std::string user_name = context->string_or("user", "");
  const Value* cluster = named(config, "clusters", cluster_name, "cluster");
  const Value* user = named(config, "users", user_name, "user");
  if (cluster == nullptr) return bad("there is no cluster `" + cluster_name + "`");
  if (user == nullptr) return bad("there is no user `" + user_name + "`");
  const Reader reader(folder, read);
  Access access;
  access.namespace_name = context->string_or("namespace", "");
  if (Status good = read_cluster(*cluster, reader, access); !good) return good.error();
  if (Status good = read_user(*user, reader, access); !good) return good.error();
  return access;
}

Result<Access> in_cluster(const std::string& host, const std::string& port, const ReadFile& read) {
  if (host.empty() || port.empty()) {
    return Error{Code::invalid_setting,
                 "this is no pod (KUBERNETES_SERVICE_HOST is not set): name a kubeconfig with "
                 "--kubeconfig or KUBECONFIG",
                 {}};
  }
  const std::string folder = kServiceAccount;
  Access access;
  const bool v6 = host.find(':') != std::string::npos;
  access.server = "https://" + (v6 ? "[" + host + "]" : host) + ":" + port;
  access.token_file = folder + "/token";
  auto ca = read(folder + "/ca.crt");
  if (!ca.ok() || !read(access.token_file).ok()) {
    return Error{Code::invalid_setting,
                 "this pod has no token of a service account in " + folder +
                     ": give it a serviceAccountName, and no automountServiceAccountToken: false",
                 {}};
  }
  access.ca_pem = std::move(*ca);
  if (const auto own = read(folder + "/namespace"); own.ok())
    access.namespace_name = std::string(trim(*own));
  return access;
}

Result<std::string> from_base64(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;  // of bits that wait
  std::size_t digits = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ') continue;
    const int digit = digit_of(c);
    if (c == '=') {
      ++padding;
      continue;
    }
    if (digit < 0 || padding > 0) return Error{Code::invalid_field, "not base64", {}};
    ++digits;
    bits = bits << kBitsOfDigit | static_cast<std::uint32_t>(digit);
    count += kBitsOfDigit;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xff);
  }
  if ((digits + padding) % 4 != 0 || padding > 2)
    return Error{Code::invalid_field, "not base64", {}};
  return out;
}

}  // namespace mc::kube
