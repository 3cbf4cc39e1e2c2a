import { wire } from 'liftbridge-client/protocol';
import type { CursorStore } from '../cursors/cursor-store.js';
import type { Authorize } from '../grpc/authorization.js';
import type { Method } from '../grpc/service.js';
import { RpcError } from '../grpc/status.js';
import { unary } from './unary.js';

/** SetCursor and FetchCursor. */
export function cursorMethods(cursors: CursorStore, authorize: Authorize): Record<string, Method> {
  return {
    SetCursor: unary(wire.SetCursorRequest, wire.SetCursorResponse, async (request, call) => {
      checkArguments(request);
      authorize(call, request.stream, call.method);
      await cursors.set(request, request.offset, call);
      return {};
    }),
    FetchCursor: unary(wire.FetchCursorRequest, wire.FetchCursorResponse, async (request, call) => {
      checkArguments(request);
      authorize(call, request.stream, call.method);
      return { offset: await cursors.fetch(request, call) };
    }),
  };
}

function checkArguments({ stream, cursorId }: wire.FetchCursorRequest): void {
  if (stream === '') throw new RpcError('INVALID_ARGUMENT', 'No stream provided');
  if (cursorId === '') throw new RpcError('INVALID_ARGUMENT', 'No cursorId provided');
}
