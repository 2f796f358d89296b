#include "cluster/guests.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace mc::cluster {
namespace {
constexpr Instant kNow{1'000'000};

std::string holds(int tasks) {
  std::string list;
  for (int i = 0; i < tasks; ++i) {
    list += list.empty() ? "[" : ",";
    list += R"({"task_id":"s1.)" + std::to_string(i) + R"(","takes":{"cpu":1}})";
  }
  return list + "]";
}

TEST(Guests, AreOneKindWhenTheyHaveTheSameLabelsAndDeclaredNothing) {
  Guests guests;
  guests.registered("a", *parse_json(R"({"labels":["x","y"]})"), kNow);
  guests.registered("b", *parse_json(R"({"labels":["y","x"]})"), kNow);
  guests.registered("c", *parse_json(R"({"labels":["x"]})"), kNow);
  EXPECT_EQ(guests.sort_of("a", "", kNow).kind, guests.sort_of("b", "[]", kNow).kind);
  EXPECT_NE(guests.sort_of("a", "", kNow).kind, guests.sort_of("c", "", kNow).kind);
}

TEST(Guests, AreAnotherKindWithEachChangeOfWhatTheyHoldHoweverMuchThatIs) {
  Guests guests;
  guests.registered("a", *parse_json(R"({"labels":["x"],"cpu_milli":1000})"), kNow);
  const std::string kind = guests.sort_of("a", holds(1'000), kNow).kind;
  EXPECT_LT(kind.size(), 64U);
  EXPECT_EQ(kind, guests.sort_of("a", holds(1'000), kNow).kind);
  EXPECT_NE(kind, guests.sort_of("a", holds(999), kNow).kind);
  EXPECT_NE(kind, guests.sort_of("b", holds(1'000), kNow).kind);
}

TEST(Guests, RememberHowTheyRegisteredWithinBounds) {
  Guests guests;
  EXPECT_EQ(guests.registration_of("a"), "");
  guests.registered("a", *parse_json(R"({"name":"n"})"), kNow);
  EXPECT_EQ(guests.registration_of("a"), R"({"name":"n","worker_id":"a","again":true})");
  const auto long_name = [](std::size_t size) {
    return *parse_json(R"({"name":")" + std::string(size, 'n') + "\"}");
  };
  guests.registered("a", long_name(Guests::kRegistrationMax), kNow);
  EXPECT_EQ(guests.registration_of("a"), "") << "too long";
  const std::size_t size = Guests::kRegistrationMax - 100;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < Guests::kRegistrationsMax / size + 10; ++i) {
    const std::string id = "w" + std::to_string(i);
    guests.registered(id, long_name(size), kNow);
    guests.registered(id, long_name(size), kNow);
    kept += guests.registration_of(id).size();
  }
  EXPECT_LE(kept, Guests::kRegistrationsMax);
  EXPECT_GT(kept, Guests::kRegistrationsMax - 2 * Guests::kRegistrationMax);
  // Those that were not heard of for long make room.
  const Instant later = kNow + Millis(600'000);
  guests.registered("b", long_name(size), later);
  EXPECT_NE(guests.registration_of("b"), "");
  EXPECT_EQ(guests.registration_of("w0"), "");
}
}  // namespace
}  // namespace mc::cluster
