#include "blob/s3/segments.h"

#include <gtest/gtest.h>

namespace mc::blob {
namespace {
const std::string kLog = "run/0.1";

std::string texts(const std::vector<LogPiece>& pieces) {
  std::string out;
  for (const LogPiece& piece : pieces) out += piece.text;
  return out;
}

TEST(Segments, AreInOrderOfTheirOffsets) {
  const auto picked = pick_segments({segment_key(kLog, 300, 1), segment_key(kLog, 0, 1),
                                     segment_key(kLog, 20, 1), "logs/run/0.1/something-else"});
  ASSERT_EQ(picked.size(), 3U);
  EXPECT_EQ(picked[0].offset, 0);
  EXPECT_EQ(picked[1].offset, 20);
  EXPECT_EQ(picked[2].offset, 300);
  EXPECT_EQ(picked[2].end_max, INT64_MAX);
}

TEST(Segments, ALaterEpochEndsWhatAnEarlierOneWroteBeyondItsBeginning) {
  const auto picked =
      pick_segments({segment_key(kLog, 0, 1), segment_key(kLog, 50, 1), segment_key(kLog, 90, 1),
                     segment_key(kLog, 70, 2), segment_key(kLog, 80, 2)});
  ASSERT_EQ(picked.size(), 4U) << "the one at 90 was written by a leader that no longer led";
  EXPECT_EQ(picked[1].offset, 50);
  EXPECT_EQ(picked[1].end_max, 70);
  EXPECT_EQ(picked[2].epoch, 2);
  EXPECT_EQ(picked[3].offset, 80);
}

TEST(Segments, ALeaderThatFoundNothingBeginsAnew) {
  const auto picked =
      pick_segments({segment_key(kLog, 0, 1), segment_key(kLog, 50, 1), segment_key(kLog, 0, 3)});
  ASSERT_EQ(picked.size(), 1U);
  EXPECT_EQ(picked[0].epoch, 3);
}

TEST(Segments, AreReadAsTheyWereWritten) {
  const std::vector<LogPiece> pieces{{7, "build", "stdout", "one\n"},
                                     {8, "te\"st", "stderr", std::string("a\0{\n", 4)}};
  const std::string bytes = write_segment(pieces);
  const auto read = read_segment(bytes);
  ASSERT_TRUE(read.ok() && read->size() == 2);
  EXPECT_EQ((*read)[1].t, 8);
  EXPECT_EQ((*read)[1].step, "te\"st");
  EXPECT_EQ((*read)[1].stream, "stderr");
  EXPECT_EQ(texts(*read), texts(pieces));
}

TEST(Segments, ATornOrAForgedOneIsRefused) {
  const std::string bytes = write_segment({{7, "build", "stdout", "one\n"}});
  for (std::size_t cut = 1; cut < bytes.size(); ++cut)
    EXPECT_FALSE(read_segment(std::string_view(bytes).substr(0, cut)).ok()) << cut;
  EXPECT_FALSE(read_segment("{\"n\":-1}\n").ok());
  EXPECT_FALSE(read_segment("{\"n\":9223372036854775807}\nabc").ok());
  EXPECT_FALSE(read_segment("[]\n").ok());
}

TEST(Segments, AreCutByBytesOfText) {
  std::vector<LogPiece> pieces{{1, "", "", "abc"}, {2, "", "", "def"}, {3, "", "", "ghi"}};
  cut_pieces(pieces, 4);
  EXPECT_EQ(texts(pieces), "abcd");
  EXPECT_EQ(pieces.size(), 2U);
  cut_pieces(pieces, -5);
  EXPECT_TRUE(pieces.empty());
}

}  // namespace
}  // namespace mc::blob
