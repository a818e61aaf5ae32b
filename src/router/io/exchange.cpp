#include "router/io/exchange.hpp"

namespace svc::router {
namespace {

// What a session keeps for its next request; more is given back.
constexpr std::size_t kKeptRequestBytes = 8 * 1024;
constexpr std::size_t kKeptBlocks = 32;

}  // namespace

void PromptState::reset() {
  shape.clear();
  if (shape.blocks.capacity() > kKeptBlocks) {
    std::vector<PromptBlock>().swap(shape.blocks);
  }
  load = {};
  matched_tokens = 0;
  predicted_wait = -1;
  candidates = 0;
  held = false;
  prefix.clear();
}

void Exchange::reset() {
  method.clear();
  path.clear();
  request_id.clear();
  model.clear();
  raw_head.clear();
  version = 11;
  head_request = false;
  keep_alive = true;
  wants_upgrade = false;
  body_bytes = 0;
  keys.reset();
  key = nullptr;
  tokens_spent = 0;
  facts.clear();
  for (std::string* text : {&facts.model, &facts.user, &facts.prompt_cache_key, &path, &model, &raw_head}) {
    if (text->capacity() > kKeptRequestBytes) {
      std::string().swap(*text);
    }
  }
  pick_context = {};
  priority = Priority::standard;
  if (prompt != nullptr) {
    prompt->reset();
  }
  answer_whole = false;
  request.clear();
  if (request.capacity() > kKeptRequestBytes) {
    request.shrink_to_fit();
  }
  host_at = host_length = 0;
  body.release();
  table.reset();
  group = nullptr;
  upstream = nullptr;
  upstream_name.clear();
  series = nullptr;
  tried_lives.clear();
  tried.clear();
  panic_pick = false;
  attempts = retries = 0;
  ticket = {};
  waiting = false;
  status = 0;
  reason = FailureReason::none;
  framing = BodyFraming::none;
  left = 0;
  chunks = ChunkRelay();
  tally = StreamTally();
  event_stream = plain_events = false;
  answer_begun = false;
  close_delimited = false;
  client_chunked = false;
  upstream_keep_alive = false;
  bytes_out = 0;
  began = attempt_began = first_byte = first_content = last_piece = TimePoint{};
  queued = {};
  total_deadline = TimePoint::max();
}

}  // namespace svc::router
