// One request and its answer, from the head's last byte to the access log. A ClientSession takes it from its thread for a
// request and gives it back behind it: reused with its memory, so that a request costs no allocation, nor an idle client any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/core/clock.hpp"
#include "router/core/failure_reason.hpp"
#include "router/core/http1/chunk_relay.hpp"
#include "router/core/http1/response_head.hpp"
#include "router/core/pick.hpp"
#include "router/core/prefix/prefix_policy.hpp"
#include "router/core/request_facts.hpp"
#include "router/core/routing_table.hpp"
#include "router/core/stream_tally.hpp"
#include "router/io/api_key_ring.hpp"
#include "router/io/byte_buffer.hpp"
#include "router/io/wait_queues.hpp"

namespace svc::router {

/// What only requests have whose prompt is looked at, for prefix_aware or for the access log: apart, so that the others
/// cost no memory for it.
struct PromptState {
  PromptShape shape;
  LoadTicket load;             ///< of the present attempt
  double matched_tokens = 0;   ///< of the last choice
  double predicted_wait = -1;  ///< the same, in seconds; -1 = there was none
  std::size_t candidates = 0;
  bool held = false;   ///< the same: it waits though an instance would take it
  std::string prefix;  ///< of the shape, for the access log

  void reset();
};

struct Exchange {
  // The request, as the access log and retries need it.
  std::string method, path, request_id;
  std::string model;  ///< asked for; "" = none
  int version = 11;
  bool head_request = false;
  bool keep_alive = true;  ///< the client's connection goes on after this exchange
  bool wants_upgrade = false;
  std::uint64_t body_bytes = 0;
  std::shared_ptr<const ApiKeyRing> keys;  ///< keeps `key` alive over a reload
  RingKey* key = nullptr;
  std::uint64_t tokens_spent = 0;  ///< of the answer, from what `key` has left
  RequestFacts facts;
  PickContext pick_context;
  Priority priority = Priority::standard;

  std::string raw_head;  ///< of a request whose body is still coming

  // What is sent to the upstream: request head (with a small body behind it), then a large body.
  std::string request;
  std::size_t host_at = 0, host_length = 0;  ///< value of the Host field in `request`
  ByteBuffer body;

  // Attempts.
  std::shared_ptr<const RoutingTable> table;  ///< keeps `group` and `upstream` alive
  const Group* group = nullptr;
  const Upstream* upstream = nullptr;  ///< of the present attempt: counted in its in_flight
  std::string upstream_name;           ///< of the last attempt
  Series* series = nullptr;
  std::vector<std::shared_ptr<UpstreamLive>> tried_lives;
  std::vector<const UpstreamLive*> tried;
  bool panic_pick = false;
  unsigned attempts = 0;
  unsigned retries = 0;                 ///< those that count against max_retries
  std::unique_ptr<PromptState> prompt;  ///< where prompts are looked at
  bool answer_whole = false;            ///< all of the present attempt's answer came
  WaitQueues::Ticket ticket;
  bool waiting = false;  ///< in the queue

  // The answer.
  int status = 0;
  FailureReason reason = FailureReason::none;
  BodyFraming framing = BodyFraming::none;  ///< of the upstream's answer
  std::uint64_t left = 0;                   ///< of a body of known length
  ChunkRelay chunks;
  StreamTally tally;
  bool event_stream = false;
  bool plain_events = false;     ///< an event stream that is not compressed: it can be read, and an event put behind it
  bool answer_begun = false;     ///< the client was sent bytes of it
  bool close_delimited = false;  ///< the client knows the end by the end of the connection
  bool client_chunked = false;
  bool upstream_keep_alive = false;
  std::uint64_t bytes_out = 0;

  // Times.
  TimePoint began{};  ///< the head was complete
  TimePoint attempt_began{}, first_byte{}, first_content{}, last_piece{};
  Duration queued{};
  TimePoint total_deadline = TimePoint::max();

  void reset();
};

}  // namespace svc::router
