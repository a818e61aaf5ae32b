// receive_packet(): what the other side of a connection between agent and shim had sent before its end.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "agent/io/shim/seq_packet.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {
namespace {

struct SocketPair {
  SocketPair() {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    here.reset(ends[0]);
    there.reset(ends[1]);
  }

  UniqueFd here, there;
  std::string message;
};

TEST(SeqPacket, Messages_AreWhole) {
  SocketPair pair;
  EXPECT_EQ(receive_packet(pair.here.get(), pair.message), PacketResult::not_now);
  ASSERT_EQ(send_packet(pair.there.get(), "one"), PacketResult::done);
  ASSERT_EQ(send_packet(pair.there.get(), "another"), PacketResult::done);
  EXPECT_EQ(receive_packet(pair.here.get(), pair.message), PacketResult::done);
  EXPECT_EQ(pair.message, "one");
  EXPECT_EQ(receive_packet(pair.here.get(), pair.message), PacketResult::done);
  EXPECT_EQ(pair.message, "another");
  EXPECT_EQ(receive_packet(pair.here.get(), pair.message), PacketResult::not_now);
}

TEST(SeqPacket, LastMessages_AreReadBeforeTheEnd) {
  SocketPair pair;
  ASSERT_EQ(send_packet(pair.there.get(), "last"), PacketResult::done);
  pair.there.reset();
  EXPECT_EQ(receive_packet(pair.here.get(), pair.message), PacketResult::done);
  EXPECT_EQ(pair.message, "last");
  EXPECT_EQ(receive_packet(pair.here.get(), pair.message), PacketResult::ended);
}

// As when an order is on its way to a shim whose run has just ended by itself.
TEST(SeqPacket, LastMessages_AreReadAlsoWhenTheOtherSideLeavesSomethingUnread) {
  SocketPair pair;
  ASSERT_EQ(send_packet(pair.here.get(), "an order that comes too late"), PacketResult::done);
  ASSERT_EQ(send_packet(pair.there.get(), "one"), PacketResult::done);
  ASSERT_EQ(send_packet(pair.there.get(), "last"), PacketResult::done);
  pair.there.reset();
  EXPECT_EQ(receive_packet(pair.here.get(), pair.message), PacketResult::done);
  EXPECT_EQ(pair.message, "one");
  EXPECT_EQ(receive_packet(pair.here.get(), pair.message), PacketResult::done);
  EXPECT_EQ(pair.message, "last");
  EXPECT_EQ(receive_packet(pair.here.get(), pair.message), PacketResult::ended);
  EXPECT_EQ(send_packet(pair.here.get(), "nobody is there"), PacketResult::ended);
}

}  // namespace
}  // namespace svc::agent
