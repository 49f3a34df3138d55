#include "peer/in_link.hpp"

#include <utility>

#include "node/codec.hpp"

namespace vesper::peer {

InLink::InLink(const LinkContext& context, std::unique_ptr<io::Stream> stream, Hello ours,
               Hello theirs, const FrameSecret& secret)
    : context_(context),
      stream_(std::move(stream)),
      timer_(context.loop, io::Delegate<void>::to<&InLink::on_timer>(this)),
      refused_(false),
      ours_(std::move(ours)),
      theirs_(std::move(theirs)),
      reader_(std::make_unique<FrameReader>(secret)) {
  detect_dead_machine(*stream_, context.election_timeout);
  listen_to_stream();
}

InLink::InLink(const LinkContext& context, std::unique_ptr<io::Stream> stream)
    : context_(context),
      stream_(std::move(stream)),
      timer_(context.loop, io::Delegate<void>::to<&InLink::on_timer>(this)),
      refused_(true) {
  listen_to_stream();
  stream_->finish();
}

void InLink::listen_to_stream() {
  stream_->set_events({io::Delegate<void, std::string_view>::to<&InLink::on_bytes>(this),
                       io::Delegate<void>::to<&InLink::on_ended>(this),
                       io::Delegate<void, int>::to<&InLink::on_failed>(this),
                       {}});
  stream_->read_start();
  timer_.start(kGreetTimeout);
}

void InLink::on_bytes(std::string_view bytes) {
  if (refused_ || gone_) return;
  while (true) {
    FrameType type{};
    std::string_view body;
    const auto taken = reader_->next(bytes, type, body);
    if (!taken) {
      disproven_ = !proven_ && ours_.keyed;
      if (disproven_) return end("the server did not prove that it has the peer key");
      return end(taken.error().what);
    }
    if (!*taken) return;
    if ((type == FrameType::proof) == proven_) return end("frames out of order");
    if (!proven_) {
      proven_ = true;
      timer_.stop();
      // Not before: until here anyone may be the dialler, and a refused one stays in the budget.
      stream_->leave_budget();
      context_.events.in_proven(*this);
      if (gone_) return;
      continue;
    }
    auto message = node::decode(body);
    if (!message) return end(message.error().what);
    context_.events.received(*this, std::move(message).value());
  }
}

void InLink::on_ended() {
  if (refused_) return end({});
  end(proven_ || !ours_.keyed ? std::string()
                              : "the connection ended before the server proved that it has the "
                                "peer key; check --peer-key-file on both");
}

void InLink::on_failed(int) {
  end({});
}

void InLink::on_timer() {
  end(refused_ ? std::string() : "the handshake did not finish in time");
}

void InLink::end(std::string why) {
  if (gone_) return;
  if (!why.empty()) context_.events.in_broken(*this, why);
  gone_ = true;
  stream_->close();
  timer_.stop();
  context_.events.in_ended(*this);
}

void InLink::close() {
  end({});
}

}  // namespace vesper::peer
