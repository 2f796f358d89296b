#include "kube/preflight.h"

#include <array>

#include "base/text.h"
#include "kube/objects.h"

namespace mc::kube {
namespace {
struct Need {
  const char* verb;
  const char* group;
  const char* resource;
  const char* part = "";
};
// The Role of docs/kubernetes.md has these, and no others.
constexpr std::array kNeeds{
    Need{"create", "batch", "jobs"}, Need{"get", "batch", "jobs"},
    Need{"list", "batch", "jobs"},   Need{"watch", "batch", "jobs"},
    Need{"patch", "batch", "jobs"},  Need{"delete", "batch", "jobs"},
    Need{"list", "", "pods"},        Need{"watch", "", "pods"},
    Need{"get", "", "pods", "log"},  Need{"create", "", "secrets"},
};

Value review(const Need& need, const std::string& namespace_name) {
  Object asked{{"namespace", namespace_name},
               {"verb", need.verb},
               {"group", need.group},
               {"resource", need.resource}};
  if (*need.part != '\0') asked.emplace_back("subresource", need.part);
  return Object{{"apiVersion", "authorization.k8s.io/v1"},
                {"kind", "SelfSubjectAccessReview"},
                {"spec", Object{{"resourceAttributes", std::move(asked)}}}};
}

std::string words(const Need& need) {
  std::string out = std::string(need.verb) + " " + need.resource;
  if (*need.part != '\0') out += std::string("/") + need.part;
  if (*need.group != '\0') out += std::string(".") + need.group;
  return out;
}

Error away(const Error& error) {
  return {error.code,
          "the Kubernetes API server does not answer: " + error.message +
              "; check the address, the network and the certificate authority of the kubeconfig",
          {}};
}

Error unknown(const Reply& reply) {
  return {Code::unauthenticated,
          refusal(reply, "the check of our rights").message +
              "; the token or client certificate is not valid (any more): get a new one",
          {}};
}

Status check_rights(Api& api, const std::string& namespace_name) {
  std::vector<std::string> missing;
  for (const Need& need : kNeeds) {
    const auto reply = api.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                                  review(need, namespace_name));
    if (!reply.ok()) return away(reply.error());
    if (reply->status == kUnauthorized) return unknown(*reply);
    if (!reply->good()) return refusal(*reply, "the check of our rights");
    const Value* status = reply->body.find("status");
    if (status == nullptr || !status->bool_or("allowed", false)) missing.push_back(words(need));
  }
  if (missing.empty()) return {};
  return Error{Code::forbidden,
               "this identity may not, in the namespace " + namespace_name + ": " +
                   join(missing, ", ") + "; bind the Role of docs/kubernetes.md to it",
               {}};
}

Status check_namespace(Api& api, const std::string& namespace_name) {
  const Value secret =
      Object{{"apiVersion", "v1"},
             {"kind", "Secret"},
             {"metadata", Object{{"name", "maestro-preflight"}, {"namespace", namespace_name}}}};
  const auto reply = api.create(secrets_path(namespace_name) + "?dryRun=All", secret);
  if (!reply.ok()) return away(reply.error());
  if (reply->good() || reply->status == kConflict) return {};
  if (reply->status == kNotFound) {
    return Error{Code::not_found,
                 "there is no namespace " + namespace_name +
                     "; create it: kubectl create namespace " + namespace_name,
                 {}};
  }
  return refusal(*reply, "a Secret in the namespace " + namespace_name);
}
}  // namespace

Status check_cluster(Api& api, const std::string& namespace_name) {
  if (Status allowed = check_rights(api, namespace_name); !allowed) return allowed;
  return check_namespace(api, namespace_name);
}

}  // namespace mc::kube
