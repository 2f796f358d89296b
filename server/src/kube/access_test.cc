#include "kube/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace mc::kube {
namespace {
using testing::HasSubstr;
using testing::Not;

constexpr const char* kConfig = R"(
apiVersion: v1
kind: Config
current-context: there
clusters:
- name: c
  cluster: {server: "https://10.0.0.1:6443/", certificate-authority-data: Q0E=}
contexts:
- {name: there, context: {cluster: c, user: u, namespace: jobs}}
users:
- name: u
  user: {USER}
)";

ReadFile files(std::map<std::string, std::string> given) {
  return [given = std::move(given)](const std::string& path) -> Result<std::string> {
    const auto found = given.find(path);
    if (found == given.end()) return Error{Code::not_found, "there is no " + path, {}};
    return found->second;
  };
}

Result<Access> read_with_user(const std::string& user,
                              std::map<std::string, std::string> given = {}) {
  std::string text = kConfig;
  text.replace(text.find("{USER}"), 6, user);
  return read_kubeconfig(text, "/conf", files(std::move(given)));
}

TEST(Kubeconfig, ATokenAndInlineCertificatesAreTaken) {
  const auto access =
      read_with_user("{token: s3cret, client-certificate-data: Q0VSVA==, client-key-data: S0VZ}");
  ASSERT_TRUE(access.ok()) << access.error().message;
  EXPECT_EQ(access->server, "https://10.0.0.1:6443");
  EXPECT_EQ(access->ca_pem, "CA");
  EXPECT_EQ(access->certificate_pem, "CERT");
  EXPECT_EQ(access->key_pem, "KEY");
  EXPECT_EQ(access->token, "s3cret");
  EXPECT_EQ(access->namespace_name, "jobs");
  EXPECT_TRUE(access->verify);
}

TEST(Kubeconfig, FilesAreRelativeToItsFolder) {
  const auto access = read_with_user("{tokenFile: t, client-certificate: c.pem, client-key: /k}",
                                     {{"/conf/t", "x"}, {"/conf/c.pem", "C"}, {"/k", "K"}});
  ASSERT_TRUE(access.ok()) << access.error().message;
  EXPECT_EQ(access->token_file, "/conf/t");
  EXPECT_EQ(access->certificate_pem, "C");
  EXPECT_EQ(access->key_pem, "K");
}

TEST(Kubeconfig, WhatCannotBeUsedIsNamedAndNoCredentialIsQuoted) {
  const std::pair<const char*, const char*> rows[] = {
      {"{exec: {command: aws, token: s3cret}}", "`exec` is not supported"},
      {"{auth-provider: {name: gcp}, token: s3cret}", "`auth-provider` is not supported"},
      {"{username: a, password: s3cret}", "`username` is not supported"},
      {"{client-certificate-data: s3cret-, client-key-data: S0VZ}",
       "client-certificate-data is not base64"},
      {"{client-certificate-data: Q0VSVA==}", "a client certificate and a client key go together"},
      {"{tokenFile: none}", "tokenFile: there is no /conf/none"},
      {"{token: s3cret, token: s3cret}", "it is not YAML (line"},
  };
  for (const auto& [user, wanted] : rows) {
    const auto access = read_with_user(user);
    ASSERT_FALSE(access.ok()) << user;
    EXPECT_EQ(access.error().code, Code::invalid_setting);
    EXPECT_THAT(access.error().message, HasSubstr(wanted));
    EXPECT_THAT(access.error().message, Not(HasSubstr("s3cret")));
  }
}

TEST(Kubeconfig, MissingPartsAreNamed) {
  const auto message = [](const std::string& text) {
    const auto access = read_kubeconfig(text, "/", files({}));
    return access.ok() ? std::string("taken") : access.error().message;
  };
  EXPECT_THAT(message("{}"), HasSubstr("no current-context"));
  EXPECT_THAT(message("current-context: x"), HasSubstr("no context `x`"));
  EXPECT_THAT(
      message("{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}]}"),
      HasSubstr("no cluster `c`"));
  EXPECT_THAT(
      message("{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], "
              "clusters: [{name: c, cluster: {server: 'ftp://x'}}], users: [{name: u, user: "
              "{}}]}"),
      HasSubstr("not an https URL"));
}

TEST(InCluster, ReadsWhatAPodIsGiven) {
  const std::string folder = "/var/run/secrets/kubernetes.io/serviceaccount/";
  const auto read =
      files({{folder + "token", "t"}, {folder + "ca.crt", "CA"}, {folder + "namespace", "jobs\n"}});
  const auto access = in_cluster("10.96.0.1", "443", read);
  ASSERT_TRUE(access.ok());
  EXPECT_EQ(access->server, "https://10.96.0.1:443");
  EXPECT_EQ(access->token_file, folder + "token");
  EXPECT_EQ(access->namespace_name, "jobs");
  EXPECT_EQ(in_cluster("fd00::1", "443", read)->server, "https://[fd00::1]:443");
  EXPECT_THAT(in_cluster("", "", read).error().message, HasSubstr("--kubeconfig"));
  EXPECT_THAT(in_cluster("h", "1", files({})).error().message, HasSubstr("serviceAccountName"));
}

TEST(Base64, RoundTripsKnownTextsAndRefusesOthers) {
  EXPECT_EQ(*from_base64("Zm9vYmE="), "fooba");
  EXPECT_EQ(*from_base64("Zm9v\nYg=="), "foob");
  EXPECT_EQ(*from_base64(""), "");
  for (const char* bad : {"Z", "Zm9", "Zm9v=", "Z===", "Zm=v", "Zm9*"})
    EXPECT_FALSE(from_base64(bad).ok()) << bad;
}

}  // namespace
}  // namespace mc::kube
