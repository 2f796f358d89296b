#include "worker/patient_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/fake_server_test.h"

namespace mc::worker {
namespace {
using testing::ElementsAre;

class Patient : public JobRig {
 protected:
  void SetUp() override {
    JobRig::SetUp();
    file_ = data_ + "/file";
    ASSERT_TRUE(write_file(file_, kBytes).ok());
  }
  // Parts of four bytes; at most `pauses` of them are waited for.
  Status put(int pauses = 10) {
    FakeApi api(server_);
    PatientApi patient(api, [&] { return pauses-- > 0; }, 4);
    return patient.put_blob({"t1", 1}, digest_, file_);
  }
  static constexpr const char* kBytes = "0123456789";
  std::string file_;
  std::string digest_ = "sha256:" + sha256_hex(kBytes);
};

TEST_F(Patient, ALargeBlobGoesInParts) {
  ASSERT_TRUE(put().ok());
  EXPECT_EQ(server_.blobs[digest_], kBytes);
  EXPECT_THAT(server_.part_offsets, ElementsAre(0, 4, 8));
  EXPECT_EQ(server_.puts, 0);
  ASSERT_TRUE(put().ok());
  EXPECT_EQ(server_.part_bytes, 10U) << "what the server has is not sent again";
}

TEST_F(Patient, ASmallBlobAndAnOlderServerTakeOneRequest) {
  server_.takes_parts = false;
  ASSERT_TRUE(put().ok());
  EXPECT_EQ(server_.puts, 1);
  server_.takes_parts = true;
  ASSERT_TRUE(write_file(file_, "0123").ok());
  digest_ = "sha256:" + sha256_hex("0123");
  ASSERT_TRUE(put().ok());
  EXPECT_EQ(server_.puts, 2);
  EXPECT_TRUE(server_.part_offsets.empty());
}

TEST_F(Patient, WhatArrivedBeforeABreakIsNotSentAgain) {
  server_.breaks = 3;
  ASSERT_TRUE(put().ok());
  EXPECT_EQ(server_.blobs[digest_], kBytes);
  EXPECT_EQ(server_.part_bytes, 10U);
  EXPECT_THAT(server_.part_offsets, ElementsAre(0, 2, 4, 6));
}

TEST_F(Patient, AServerThatNeverGetsAnyFurtherIsNotAskedForEver) {
  server_.stands = true;
  EXPECT_EQ(put(3).error().code, Code::unreachable);
  EXPECT_EQ(server_.part_offsets.size(), 4U);
}

TEST_F(Patient, ItGoesOnWhereANewLeaderStands) {
  server_.arrived[digest_] = "012";
  ASSERT_TRUE(put().ok());
  EXPECT_EQ(server_.part_bytes, 7U);
}

TEST_F(Patient, WhatAPowerCutSpoiltIsSentOnceMoreAndNoMore) {
  server_.arrived[digest_] = "210";
  ASSERT_TRUE(put().ok());
  EXPECT_EQ(server_.blobs[digest_], kBytes);
  server_.blobs.clear();
  digest_ = "sha256:" + sha256_hex("something else");
  EXPECT_EQ(put().error().code, Code::invalid_field);
  EXPECT_TRUE(server_.blobs.empty());
}

TEST_F(Patient, ATaskThatIsSomebodyElsesEndsIt) {
  server_.blob_refusal = Code::fenced;
  EXPECT_EQ(put().error().code, Code::fenced);
  EXPECT_TRUE(server_.part_offsets.empty());
}

TEST_F(Patient, AnEndOfPatienceSaysWhatWasWrong) {
  server_.breaks = 1'000'000;
  EXPECT_EQ(put(1).error().code, Code::unreachable);
}

}  // namespace
}  // namespace mc::worker
