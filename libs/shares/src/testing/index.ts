export * from './faulty-front.js';
export * from './identity-front.js';
export * from './loopback-certificate.js';
export * from './memory-share.js';
export * from './share-conformance.js';
