/** TagResource, UntagResource, ListResourceTags. */
import { z } from 'zod';
import type { Operation } from '../call.js';
import { keyId } from './members.js';

const tagKey = z.string().min(1).max(128);

const tagRequest = z.object({
  KeyId: keyId,
  Tags: z.array(z.object({ TagKey: tagKey, TagValue: z.string().max(256) })),
});

const untagRequest = z.object({ KeyId: keyId, TagKeys: z.array(tagKey) });

const listRequest = z.object({ KeyId: keyId });

export const tagResource: Operation = (call) => {
  const { KeyId, Tags } = call.parse(tagRequest);
  const key = call.useKey(KeyId, { state: 'not-pending' });
  const added = Object.fromEntries(Tags.map(({ TagKey, TagValue }) => [TagKey, TagValue]));
  call.keys.put({ ...key, tags: { ...key.tags, ...added } });
  return {};
};

export const untagResource: Operation = (call) => {
  const { KeyId, TagKeys } = call.parse(untagRequest);
  const key = call.useKey(KeyId, { state: 'not-pending' });
  const tags = Object.fromEntries(Object.entries(key.tags).filter(([name]) => !TagKeys.includes(name)));
  call.keys.put({ ...key, tags });
  return {};
};

export const listResourceTags: Operation = (call) => {
  const { KeyId } = call.parse(listRequest);
  const { tags } = call.useKey(KeyId, { state: 'any' });
  return { Tags: Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue })), Truncated: false };
};
