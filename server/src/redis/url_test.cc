#include "redis/url.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "base/text.h"

namespace mc::redis {
namespace {

TEST(RedisUrl, NamesAHostAPortADatabaseAndWhoAsks) {
  const Place plain = *parse_url("redis://cache");
  EXPECT_EQ(plain.host, "cache");
  EXPECT_EQ(plain.port, "6379");
  EXPECT_EQ(plain.database, 0);
  EXPECT_FALSE(plain.has_password || plain.tls);
  const Place full = *parse_url("rediss://ada:p%40ss%3A%2F@10.0.0.7:6380/3?ca=/etc/ca.pem");
  EXPECT_EQ(full.user, "ada");
  EXPECT_EQ(full.password, "p@ss:/");
  EXPECT_EQ(full.port, "6380");
  EXPECT_EQ(full.database, 3);
  EXPECT_EQ(full.ca_file, "/etc/ca.pem");
  EXPECT_TRUE(full.tls && full.has_password);
  EXPECT_EQ(full.shown(), "rediss://10.0.0.7:6380/3");
  const Place mine = *parse_url("rediss://h?cert=a.pem&key=b.pem");
  EXPECT_EQ(mine.certificate_file + mine.key_file, "a.pemb.pem");
  EXPECT_EQ(parse_url("redis://:secret@h/")->user, "");
  EXPECT_EQ(parse_url("redis://:secret@h/")->password, "secret");
  EXPECT_EQ(parse_url("redis://u:@h")->has_password, true);
  EXPECT_EQ(parse_url("redis://[::1]:7/2")->shown(), "redis://[::1]:7/2");
  EXPECT_EQ(parse_url("redis://[::1]")->host, "::1");
}

TEST(RedisUrl, NamesASocket) {
  const Place place = *parse_url("redis+unix://:pw@/run/redis%20x.sock?db=4");
  EXPECT_EQ(place.socket, "/run/redis x.sock");
  EXPECT_EQ(place.database, 4);
  EXPECT_EQ(place.password, "pw");
  EXPECT_EQ(place.shown(), "redis+unix:///run/redis x.sock");
}

TEST(RedisUrl, WhatIsWrongIsToldWithHowToMendIt) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "wanted is redis://"},
      {"cache:6379", "wanted is redis://"},
      {"http://cache", "wanted is redis://"},
      {"redis://", "no host"},
      {"redis://:pw@", "no host"},
      {"redis://a b", "no host"},
      {"redis://only@h", ":PASSWORD@HOST"},
      {"redis://u:%zz@h", "%25"},
      {"redis://u:%00@h", "%25"},
      {"redis://u:a#b@h", "%23"},
      {"redis://a,b:1", "one address"},
      {"redis://::1", "[ ]"},
      {"redis://[::1", "without its ]"},
      {"redis://[::1]6379", "between ]"},
      {"redis://h:", "port"},
      {"redis://h:0", "port"},
      {"redis://h:65536", "port"},
      {"redis://h:12x", "port"},
      {"redis://h/x", "database"},
      {"redis://h/-1", "database"},
      {"redis://h/0/1", "database"},
      {"redis://h?ca=x", "rediss://"},
      {"rediss://h?ca=", "without a file"},
      {"rediss://h?ca", "without a file"},
      {"rediss://h?cert=a", "needs its key"},
      {"rediss://h?verify=no", "not known"},
      {"redis://h?db=1", "not known"},
      {"redis+unix://run/x", "three slashes"},
      {"redis+unix:///", "three slashes"},
      {"redis+unix:///x?db=", "database"},
  };
  for (const auto& [url, told] : cases) {
    const auto place = parse_url(url);
    ASSERT_FALSE(place) << url;
    EXPECT_EQ(place.error().code, Code::invalid_setting) << url;
    EXPECT_TRUE(place.error().message.find(told) != std::string::npos) << place.error().message;
    EXPECT_TRUE(place.error().message.starts_with("REDIS_URL ")) << place.error().message;
  }
}

TEST(RedisUrl, APasswordComesOutAsItWentInAndIsNeverTold) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::string password = "s3cr3t";
    for (std::uint64_t left = rng.below(8); left > 0; --left)
      password += std::string_view("@:/?#%[]& \xc3", 11)[rng.below(11)];
    const auto place = parse_url("redis://u:" + percent_encode(password) + "@h:1/2");
    ASSERT_TRUE(place);
    EXPECT_EQ(place->password, password);
    EXPECT_EQ(place->shown(), "redis://h:1/2");
    const auto raw = parse_url("redis://u:" + password + "@h:1/2");
    if (raw) EXPECT_EQ(raw->shown().find("s3cr3t"), std::string::npos);
    if (!raw) EXPECT_EQ(raw.error().message.find("s3cr3t"), std::string::npos);
  }
}

}  // namespace
}  // namespace mc::redis
