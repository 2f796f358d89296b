#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "auth/principal.h"
#include "auth/secret_box.h"
#include "auth/signature.h"
#include "auth/token.h"

namespace mc::auth {
namespace {

TEST(Roles, AllowWhatTheTableSays) {
  using enum Permission;
  struct Row {
    Role role;
    std::vector<Permission> may;
  };
  const std::vector<Row> rows = {{Role::viewer, {open, read}},
                                 {Role::operator_, {open, read, operate}},
                                 {Role::admin, {open, read, operate, administer, work}},
                                 {Role::worker, {open, work}}};
  for (const Row& row : rows) {
    for (const Permission p : {open, read, operate, administer, work}) {
      const bool listed = std::find(row.may.begin(), row.may.end(), p) != row.may.end();
      EXPECT_EQ(allows(row.role, p), listed)
          << to_name(row.role) << " permission " << static_cast<int>(p);
    }
    EXPECT_EQ(role_from_name(to_name(row.role)), row.role);
  }
  EXPECT_FALSE(role_from_name("root"));
}

TEST(Token, IsNeverTheSameTwiceAndReadsAsOne) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string token = mint_token();
    EXPECT_TRUE(is_token(token)) << token;
    EXPECT_EQ(token.size(), kTokenPrefix.size() + 43);
    EXPECT_TRUE(seen.insert(token).second);
  }
  for (const char* wrong :
       {"", "mst_", "mst_short", "ghp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "mst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=A"}) {
    EXPECT_FALSE(is_token(wrong)) << wrong;
  }
}

TEST(Token, HashRoundTripsAsTextAndTellsTokensApart) {
  const std::string token = mint_token();
  const TokenHash hash = hash_token(token);
  EXPECT_EQ(parse_token_hash(to_text(hash)), hash);
  EXPECT_TRUE(same(hash, hash_token(token)));
  EXPECT_FALSE(same(hash, hash_token(token + "x")));
  EXPECT_FALSE(parse_token_hash("zz"));
  EXPECT_FALSE(parse_token_hash(std::string(64, 'g')));
}

TEST(Base64Url, RoundTripsEveryLength) {
  std::string bytes;
  for (int i = 0; i < 70; ++i) {
    EXPECT_EQ(from_base64url(to_base64url(bytes)), bytes);
    bytes.push_back(static_cast<char>(i * 37));
  }
  EXPECT_FALSE(from_base64url("a+b/"));
  EXPECT_FALSE(from_base64url("ab=="));
}

TEST(SecretBox, OpensOnlyUnderItsOwnKeyAndName) {
  const SecretBox box = *SecretBox::open(SecretBox::make_key());
  const SecretBox other = *SecretBox::open(SecretBox::make_key());
  for (const std::string& value :
       {std::string(), std::string("hunter2"), std::string(70'000, 'x')}) {
    const std::string sealed = box.seal("default/DB", value);
    EXPECT_NE(sealed, box.seal("default/DB", value)) << "a nonce came twice";
    EXPECT_EQ(box.unseal("default/DB", sealed).value(), value);
    EXPECT_FALSE(box.unseal("default/OTHER", sealed).ok());
    EXPECT_FALSE(other.unseal("default/DB", sealed).ok());
    std::string changed = sealed;
    changed[changed.size() / 2] = changed[changed.size() / 2] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(box.unseal("default/DB", changed).ok());
  }
  EXPECT_FALSE(box.unseal("default/DB", "short").ok());
  EXPECT_FALSE(SecretBox::open("not a key").ok());
}

// The example of GitHub's documentation.
TEST(HubSignature, FitsThePublishedExample) {
  const std::string secret = "It's a Secret to Everybody";
  const std::string body = "Hello, World!";
  const std::string good =
      "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  EXPECT_TRUE(verify_hub_signature(secret, body, good));
  EXPECT_FALSE(verify_hub_signature(secret, body + "!", good));
  EXPECT_FALSE(verify_hub_signature("other", body, good));
  EXPECT_FALSE(verify_hub_signature("", body, good));
  EXPECT_FALSE(verify_hub_signature(secret, body, good.substr(7)));
}

// The example of the Standard Webhooks specification.
TEST(StandardWebhook, FitsThePublishedExampleWithinItsWindow) {
  const std::string secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const std::string body = R"({"test": 2432232314})";
  const StandardHeaders headers{"msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
                                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="};
  const Instant sent{1'614'265'330'000};
  EXPECT_TRUE(verify_standard_webhook(secret, body, headers, sent));
  EXPECT_TRUE(verify_standard_webhook(secret, body, headers, sent + kWebhookWindow));
  EXPECT_FALSE(verify_standard_webhook(secret, body, headers, sent + kWebhookWindow + Millis(1)));
  EXPECT_FALSE(verify_standard_webhook(secret, body, headers, sent - kWebhookWindow - Millis(1)));
  EXPECT_FALSE(verify_standard_webhook(secret, body + " ", headers, sent));
  const StandardHeaders two{headers.id, headers.timestamp,
                            "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="};
  EXPECT_TRUE(verify_standard_webhook(secret, body, two, sent));
  const StandardHeaders far{headers.id, "99999999999999999", headers.signature};
  EXPECT_FALSE(verify_standard_webhook(secret, body, far, sent));
}

}  // namespace
}  // namespace mc::auth
