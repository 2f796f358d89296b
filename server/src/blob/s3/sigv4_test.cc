#include "blob/s3/sigv4.h"

#include <gtest/gtest.h>

#include "base/sha256.h"

namespace mc::blob {
namespace {
// Keys and expected signatures of AWS's test suite for Signature Version 4 and of the examples in
// the S3 documentation.
const S3Key kSuite{.access_key_id = "AKIDEXAMPLE",
                   .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                   .region = "us-east-1",
                   .service = "service"};
const S3Key kDocs{.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                  .secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                  .region = "us-east-1"};
const Instant kSuiteTime = *parse_rfc3339("2015-08-30T12:36:00Z");
const Instant kDocsTime = *parse_rfc3339("2013-05-24T00:00:00Z");
const std::string kNoBody = sha256_hex("");

std::string signature(const std::string& authorization) {
  return authorization.substr(authorization.find("Signature=") + 10);
}

std::string sign_suite(const std::string& method, const std::string& path, Pairs query,
                       Pairs more = {}, const std::string& body = {}) {
  Pairs headers{{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}};
  headers.insert(headers.end(), more.begin(), more.end());
  return signature(
      sign({method, path, std::move(query), headers, sha256_hex(body)}, kSuite, kSuiteTime));
}

TEST(SigV4, TheSuiteOfAws) {
  EXPECT_EQ(sign_suite("GET", "/", {}),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_EQ(sign_suite("GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
  EXPECT_EQ(sign_suite("POST", "/", {}),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
  EXPECT_EQ(
      sign_suite("GET", "/", {}, {{"my-header1", " value1"}, {"my-header2", "\"a   b   c\""}}),
      "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
  EXPECT_EQ(
      sign_suite("GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", {}),
      "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f");
}

TEST(SigV4, TheExamplesOfS3) {
  const auto headers = [](const std::string& payload) {
    return Pairs{{"host", "examplebucket.s3.amazonaws.com"},
                 {"x-amz-content-sha256", payload},
                 {"x-amz-date", "20130524T000000Z"}};
  };
  Pairs with_range = headers(kNoBody);
  with_range.emplace_back("range", "bytes=0-9");
  const std::string get = sign({"GET", "/test.txt", {}, with_range, kNoBody}, kDocs, kDocsTime);
  EXPECT_EQ(get,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  const std::string hello = sha256_hex("Welcome to Amazon S3.");
  Pairs with_class = headers(hello);
  with_class.emplace_back("date", "Fri, 24 May 2013 00:00:00 GMT");
  with_class.emplace_back("x-amz-storage-class", "REDUCED_REDUNDANCY");
  EXPECT_EQ(signature(sign({"PUT", encode_path("/test$file.text"), {}, with_class, hello}, kDocs,
                           kDocsTime)),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(signature(sign({"GET", "/", {{"lifecycle", ""}}, headers(kNoBody), kNoBody}, kDocs,
                           kDocsTime)),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(
      signature(sign({"GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, headers(kNoBody), kNoBody},
                     kDocs, kDocsTime)),
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, PathsAndQueriesAreEncodedAsTheyAreSigned) {
  EXPECT_EQ(encode_path("/a b/c+d/ü~"), "/a%20b/c%2Bd/%C3%BC~");
  EXPECT_EQ(encode_path("/"), "/");
  EXPECT_EQ(encode_path("sha256/ab"), "sha256/ab");
  EXPECT_EQ(encode_query({{"uploads", ""}, {"prefix", "logs/x y"}}),
            "prefix=logs%2Fx%20y&uploads=");
  EXPECT_EQ(amz_date(*parse_rfc3339("2026-11-23T19:01:35.250Z")), "20261123T190135Z");
}

}  // namespace
}  // namespace mc::blob
