#include "wire/offer.h"

#include <gtest/gtest.h>

namespace mc::wire {
namespace {

TEST(Offer, ReadsBackWhatItSays) {
  const Offer offer{-10, "intel-graph.2", {.running = 17, .weight = 3}};
  EXPECT_EQ(encode_next(offer), "-10 17 3 intel-graph.2");
  const auto next = decode_next(encode_next(offer));
  ASSERT_TRUE(next && next->offer);
  EXPECT_EQ(next->offer->priority, -10);
  EXPECT_EQ(next->offer->project, "intel-graph.2");
  EXPECT_EQ(next->offer->share.running, 17U);
  EXPECT_EQ(next->offer->share.weight, 3);
  const auto none = decode_next(encode_next(std::nullopt));
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->offer);
}

TEST(Offer, WhatIsNoneIsNot) {
  for (const char* text :
       {"", "1", "0 0 1", "0 0 0 a", "0 0 -1 a", "x 0 1 a", "0 -1 1 a", "0 0 1 a b", "0 0 1 ",
        "0 0 1 A", "None", "99999999999 0 1 a", "0  0 1 a"})
    EXPECT_FALSE(decode_next(text)) << text;
}

}  // namespace
}  // namespace mc::wire
