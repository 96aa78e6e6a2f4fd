// whip-whep, by the editor of the draft: offers at once and sends candidates as they come.
import { WHEPClient } from 'whip-whep/whep.js';

const video = document.querySelector('video');
const url = new URLSearchParams(location.search).get('whep');
const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
peer.addTransceiver('audio');
peer.addTransceiver('video');
peer.ontrack = ({ track, streams }) => {
  if (track.kind === 'video') [video.srcObject] = streams;
};
const client = new WHEPClient();
window.stopWatching = () => client.stop();
window.restartIce = () => client.restart();
await client.view(peer, url);
