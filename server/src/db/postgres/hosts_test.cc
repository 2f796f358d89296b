#include "db/postgres/hosts.h"

#include <gtest/gtest.h>

namespace mc::db::pg {
namespace {

// "a:1 b:2"
std::string shown(const std::string& url) {
  std::string text;
  for (const Host& host : hosts_of(url))
    text += (text.empty() ? "" : " ") + host.name + ":" + host.port;
  return text;
}

TEST(Hosts, OneIsLibpqs) {
  EXPECT_EQ(shown("postgres://u:p@a:5433/db"), ":");
  EXPECT_EQ(shown("postgres:///db"), ":");
  EXPECT_EQ(shown("host=a dbname=db"), ":");
  EXPECT_EQ(shown("host=a,b hostaddr=10.0.0.1,10.0.0.2"), ":");
  EXPECT_EQ(shown("host=a,b,c port=1,2"), ":");
}

TEST(Hosts, OfSeveralEachHasItsPort) {
  EXPECT_EQ(shown("postgres://u:p@a:1,b:2,[::1]:3/db"), "a:1 b:2 ::1:3");
  EXPECT_EQ(shown("host=a,/run/pg,c port=7"), "a:7 /run/pg:7 c:7");
  EXPECT_EQ(shown("host=a,b"), "a: b:");
}

}  // namespace
}  // namespace mc::db::pg
