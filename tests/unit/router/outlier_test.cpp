#include "router/core/outlier.hpp"

#include <gtest/gtest.h>

#include "tests/support/moments.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using Reason = FailureReason;

using svc::test::kStart;
constexpr TimePoint kIn{};  // not ejected

struct Subject {
  Outlier outlier;
  std::int64_t max_fails = 3;
  Duration fail_timeout = 30s;
  OutlierSettings settings;

  TimePoint fail(Duration after, Reason reason = Reason::upstream_reset, std::uint64_t random = 0) {
    return outlier.failed(reason, kStart + after, max_fails, fail_timeout, settings, random);
  }
  TimePoint refuse(Duration after, std::uint64_t random = 0) {
    return fail(after, Reason::upstream_connect_failed, random);
  }
};

TEST(Outlier, MaxFailsWithinFailTimeout_Eject) {
  Subject subject;
  EXPECT_EQ(subject.fail(0s), kIn);
  EXPECT_EQ(subject.fail(10s), kIn);
  EXPECT_EQ(subject.fail(20s), kStart + 50s);
}

TEST(Outlier, FailuresFarApart_DoNotEject) {
  Subject subject;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(subject.fail(i * 31s), kIn);
    EXPECT_EQ(subject.outlier.fails(), 1);
  }
}

TEST(Outlier, SuccessesBetween_DoNotResetTheWindow) {
  Subject subject;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(subject.fail(i * 1s), kIn);
    subject.outlier.succeeded();
  }
  EXPECT_EQ(subject.fail(2s), kStart + 32s);
}

TEST(Outlier, FailedTrial_EjectsAtOnce) {
  Subject subject;
  for (int i = 0; i < 3; ++i) subject.fail(0s);
  EXPECT_EQ(subject.fail(31s), kStart + 61s);
  EXPECT_EQ(subject.fail(200s), kStart + 230s);
}

TEST(Outlier, PassedTrial_StartsOver) {
  Subject subject;
  for (int i = 0; i < 3; ++i) subject.fail(0s);
  subject.outlier.succeeded();
  EXPECT_EQ(subject.fail(31s), kIn);
  EXPECT_EQ(subject.fail(32s), kIn);
  EXPECT_EQ(subject.fail(33s), kStart + 63s);
}

TEST(Outlier, MaxFailsOne_EjectsAtTheFirst) {
  Subject subject;
  subject.max_fails = 1;
  EXPECT_EQ(subject.fail(0s), kStart + 30s);
}

TEST(Outlier, MaxFailsZero_NeverEjects) {
  Subject subject;
  subject.max_fails = 0;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(subject.fail(0s), kIn);
  EXPECT_EQ(subject.refuse(0s), kIn);
}

TEST(Outlier, WhatTheClientDid_CountsForNothing) {
  Subject subject;
  subject.max_fails = 1;
  for (const Reason reason : {Reason::client_gone, Reason::total_timeout, Reason::bad_request, Reason::none}) {
    EXPECT_EQ(subject.fail(0s, reason), kIn);
  }
  EXPECT_EQ(subject.outlier.fails(), 0);
}

TEST(Outlier, Refused_EjectsAtOnceForAGrowingTime) {
  Subject subject;
  Duration at = 0s;
  for (const Duration expected : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s}) {
    EXPECT_EQ(subject.refuse(at), kStart + at + expected);
    at += expected;
  }
  subject.outlier.succeeded();
  EXPECT_EQ(subject.refuse(at), kStart + at + 1s);
}

TEST(Outlier, ManyRefusedTogether_AreOne) {
  Subject subject;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(subject.refuse(i * 1ms), kStart + 1s);
  EXPECT_EQ(subject.refuse(1s), kStart + 3s);
}

TEST(Outlier, Jitter_IsATenthAtMostAndNeverLonger) {
  for (std::uint64_t random = 0; random < 5000; random += 7) {
    Subject subject;
    const Duration out = subject.refuse(0s, random) - kStart;
    EXPECT_LE(out, 1s);
    EXPECT_GE(out, 900ms);
  }
  Subject subject;
  EXPECT_LT(subject.refuse(0s, 1023) - kStart, 902ms);
}

TEST(Outlier, GoodProbe_EndsWhatARefusalBegan) {
  Subject subject;
  subject.refuse(0s);
  EXPECT_TRUE(subject.outlier.probed_good());
  EXPECT_FALSE(subject.outlier.probed_good());
  EXPECT_EQ(subject.refuse(100ms), kStart + 100ms + 2s);  // it still flaps: growth goes on until an answer begins
}

TEST(Outlier, GoodProbe_DoesNotEndWhatMaxFailsBegan) {
  Subject subject;
  for (int i = 0; i < 3; ++i) subject.fail(0s);
  EXPECT_FALSE(subject.outlier.probed_good());
  EXPECT_EQ(subject.outlier.fails(), 3);
  EXPECT_EQ(subject.fail(31s), kStart + 61s);  // the trial is still to be passed
}

// An instance is killed: its open requests break (max_fails), new connections are refused. It is up again with the
// probe.
TEST(Outlier, KilledInstance_IsBackWithAGoodProbe) {
  Subject subject;
  for (int i = 0; i < 3; ++i) subject.fail(0s);
  EXPECT_EQ(subject.refuse(10ms), kStart + 30s);
  EXPECT_TRUE(subject.outlier.probed_good());
  EXPECT_EQ(subject.fail(1s), kIn);
}

// It may answer its health page and nothing else.
TEST(Outlier, GoodProbe_KeepsTheCount) {
  Subject subject;
  subject.fail(0s);
  subject.fail(1s);
  EXPECT_FALSE(subject.outlier.probed_good());
  EXPECT_EQ(subject.fail(2s), kStart + 32s);
}

}  // namespace
}  // namespace svc::router
